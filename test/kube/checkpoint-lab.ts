// CheckpointRequests on a real cluster: made with kubectl, waited for, and their archives looked at on the nodes.
import { parse, stringify } from 'yaml';
import {
  readCheckpointRequestStatus,
  type CheckpointRequestStatus,
  type ContainerResult,
} from '../../src/api/checkpoint-request.ts';
import type { KubeObject } from '../../src/api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../../src/api/kube-resources.ts';
import { SETTINGS_CONFIG_MAP, SETTINGS_KEY } from '../../src/api/names.ts';
import { pathOf } from './installed-plane.ts';
import { SYSTEM, type OperatorLab } from './operator-lab.ts';

export interface CheckpointLab {
  /** `kubectl create` of a request in `default`; throws with the server's words when it is refused. */
  readonly ask: (name: string, spec: Readonly<Record<string, unknown>>) => Promise<void>;
  /** null: there is none. */
  readonly request: (name: string) => Promise<KubeObject | null>;
  /** Waits until it is Complete or Failed. */
  readonly outcome: (name: string) => Promise<Outcome>;
  /** The archive as `stat` shows it: "600 0 0 12345"; null: there is no such file. */
  readonly statOf: (nodeName: string, path: string) => Promise<string | null>;
  /** Sets these settings of the operator, and leaves the others. */
  readonly changeSettings: (changes: Readonly<Record<string, unknown>>) => Promise<void>;
  /** The number that the container's program counts in /tmp/counter. */
  readonly counterOf: (podName: string) => Promise<number>;
}

export interface Outcome {
  /** "Complete Checkpointed", "Failed GhostLimitExceeded". */
  readonly verdict: string;
  readonly status: CheckpointRequestStatus;
  readonly containers: readonly ContainerResult[];
}

export function checkpointLab(lab: OperatorLab): CheckpointLab {
  const request = async (name: string): Promise<KubeObject | null> => {
    const { status, text } = await lab.cluster.request({ path: pathOf(CHECKPOINT_REQUESTS, { name }) });
    return status === 200 ? (JSON.parse(text) as KubeObject) : null;
  };
  return {
    request,
    ask: async (name, spec) => {
      const object = {
        apiVersion: 'ghostlimit.dev/v1alpha1',
        kind: 'CheckpointRequest',
        metadata: { name, namespace: 'default' },
        spec,
      };
      await lab.cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) });
    },
    outcome: (name) =>
      lab.until(`request ${name} to be finished`, async () => {
        const found = await request(name);
        return found === null ? null : outcomeOf(readCheckpointRequestStatus(found));
      }),
    statOf: async (nodeName, path) => {
      const { code, stdout } = await lab.cluster
        .nodeNamed(nodeName)
        .exec(['stat', '--format=%a %u %g %s', path]);
      return code === 0 ? stdout.trim() : null;
    },
    changeSettings: async (changes) => {
      const configMap = ['-n', SYSTEM, 'configmap', SETTINGS_CONFIG_MAP] as const;
      const text = await lab.kubectl('get', ...configMap, '-o', String.raw`jsonpath={.data.settings\.yaml}`);
      const settings = { ...(parse(text) as Record<string, unknown> | null), ...changes };
      const data = { [SETTINGS_KEY]: stringify(settings) };
      await lab.kubectl('patch', ...configMap, '--type=merge', '-p', JSON.stringify({ data }));
    },
    counterOf: async (podName) =>
      Number((await lab.kubectl('exec', podName, '-c', 'app', '--', 'cat', '/tmp/counter')).trim()),
  };
}

/** null: it is not finished. */
function outcomeOf(status: CheckpointRequestStatus): Outcome | null {
  const { conditions = [], containers = [] } = status;
  const last = conditions.find(
    (condition) => ['Complete', 'Failed'].includes(condition.type) && condition.status === 'True',
  );
  return last === undefined ? null : { verdict: `${last.type} ${last.reason}`, status, containers };
}
