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
  /** `kubectl create` of a request, in `default` unless told; throws with the server's words when it is refused. */
  readonly ask: (name: string, spec: Readonly<Record<string, unknown>>, namespace?: string) => Promise<void>;
  /** null: there is none. */
  readonly request: (name: string, namespace?: string) => Promise<KubeObject | null>;
  /** Waits until it is Complete or Failed. */
  readonly outcome: (name: string, namespace?: string) => Promise<Outcome>;
  /** The archive as `stat` shows it: "600 0 0 12345"; null: there is no such file. */
  readonly statOf: (nodeName: string, path: string) => Promise<string | null>;
  /** Sets these settings of the operator, and leaves the others. */
  readonly changeSettings: (changes: Readonly<Record<string, unknown>>) => Promise<void>;
  /** The number that the container's program counts in /tmp/counter. */
  readonly counterOf: (podName: string) => Promise<number>;
  /** An open gate for the dumps on the node; they come by it where {@link GATE_LINE} is in the file that CRIU reads. */
  readonly dumpGate: (nodeName: string) => Promise<DumpGate>;
}

export interface DumpGate {
  /** From now on a dump stands still at the gate with its container frozen, at most two minutes. */
  readonly close: () => Promise<void>;
  readonly isHolding: () => Promise<boolean>;
  readonly open: () => Promise<void>;
}

const GATE_SCRIPT = '/run/dump-gate.sh';
const GATE_CLOSED = '/run/dump-gate-closed';
const GATE_HOLDS = '/run/dump-gate-holds';
/** A line of users' own: CRIU runs the program at each stage of a dump. */
export const GATE_LINE = `action-script ${GATE_SCRIPT}`;

export interface Outcome {
  /** "Complete Checkpointed", "Failed GhostLimitExceeded". */
  readonly verdict: string;
  readonly status: CheckpointRequestStatus;
  readonly containers: readonly ContainerResult[];
}

export function checkpointLab(lab: OperatorLab): CheckpointLab {
  const request = async (name: string, namespace = 'default'): Promise<KubeObject | null> => {
    const path = pathOf(CHECKPOINT_REQUESTS, { namespace, name });
    const { status, text } = await lab.cluster.request({ path });
    return status === 200 ? (JSON.parse(text) as KubeObject) : null;
  };
  return {
    request,
    ask: async (name, spec, namespace = 'default') => {
      const object = {
        apiVersion: 'ghostlimit.dev/v1alpha1',
        kind: 'CheckpointRequest',
        metadata: { name, namespace },
        spec,
      };
      await lab.cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(object) });
    },
    outcome: (name, namespace) =>
      lab.until(`request ${name} to be finished`, async () => {
        const found = await request(name, namespace);
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
    dumpGate: (nodeName) => dumpGate(lab, nodeName),
  };
}

async function dumpGate(lab: OperatorLab, nodeName: string): Promise<DumpGate> {
  const node = lab.cluster.nodeNamed(nodeName);
  const run = async (script: string): Promise<void> => {
    await node.run(['sh', '-ec', script]);
  };
  const wait = `n=0; while [ -e ${GATE_CLOSED} ] && [ $n -lt 1200 ]; do : > ${GATE_HOLDS}; n=$((n+1)); sleep 0.1; done; rm -f ${GATE_HOLDS}`;
  // At these stages the processes are stopped.
  const script = `#!/bin/sh\ncase "$CRTOOLS_SCRIPT_ACTION" in network-lock|post-dump) ${wait};; esac\nexit 0\n`;
  await node.writeFile(GATE_SCRIPT, script);
  await run(`chmod 755 ${GATE_SCRIPT}`);
  return {
    close: () => run(`: > ${GATE_CLOSED}`),
    isHolding: async () => (await node.readFile(GATE_HOLDS)) !== null,
    open: () => run(`rm -f ${GATE_CLOSED}`),
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
