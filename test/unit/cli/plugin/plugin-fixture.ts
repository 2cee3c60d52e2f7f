// The command of the plugin against an API server in memory: what it prints, and the hand of the controller.
import type { KubeObject } from '../../../../src/api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../../../../src/api/kube-resources.ts';
import {
  clusterCheckpoint,
  type ClusterCheckpointChoice,
} from '../../../../src/cli/plugin/cluster-checkpoint.ts';
import type { KubeApi } from '../../../../src/ports/kube-api.ts';
import { atRest, FakeClock } from '../../../fakes/fake-clock.ts';
import { FakeKube } from '../../../fakes/fake-kube.ts';

export const NAME = 'web-0-bbbbb';
export const SHOWN_NAME = `checkpointrequest.ghostlimit.dev/${NAME}`;
const REF = { namespace: 'shop', name: NAME };

export interface PluginWorld {
  readonly kube: FakeKube;
  readonly clock: FakeClock;
  readonly interrupt: () => void;
  /** Lines of standard error. */
  readonly notes: string[];
  /** Texts and objects of standard output. */
  readonly prints: unknown[];
  readonly start: (more?: Partial<ClusterCheckpointChoice>, api?: KubeApi) => Promise<unknown>;
  /** As the controller does. */
  readonly setStatus: (status: Readonly<Record<string, unknown>>) => Promise<void>;
  readonly request: () => KubeObject | null;
}

/** `start` gives the exit code, or what was thrown. Waits unless told otherwise. */
export function pluginWorld(): PluginWorld {
  const clock = new FakeClock();
  const kube = new FakeKube({ clock });
  const interrupts = new AbortController();
  const notes: string[] = [];
  const prints: unknown[] = [];
  const output = {
    note: (text: string) => void notes.push(text),
    print: (text: string) => void prints.push(text),
    printJson: (value: unknown) => void prints.push(value),
  };
  const choice: ClusterCheckpointChoice = {
    pod: 'web-0',
    namespace: 'shop',
    containerNames: [],
    skipChecks: [],
    keepArchive: false,
    format: 'table',
    wait: { timeoutMs: 0 },
    kubectl: 'kubectl',
  };
  return {
    kube,
    clock,
    notes,
    prints,
    interrupt: () => {
      interrupts.abort(new Error('ended by SIGINT'));
    },
    start: async (more = {}, api = kube) => {
      const parts = { kube: api, clock, interrupted: interrupts.signal, output };
      try {
        return await clusterCheckpoint({ ...choice, ...more }, parts);
      } catch (error) {
        return error;
      }
    },
    setStatus: async (status) => {
      const options = { fieldManager: 'controller', subresource: 'status' } as const;
      await kube.direct.mergePatch(CHECKPOINT_REQUESTS, REF, { status }, options);
      await atRest();
    },
    request: () => kube.find(CHECKPOINT_REQUESTS, REF),
  };
}

export const condition = (type: string, more: Readonly<Record<string, string>> = {}) => ({
  type,
  status: 'True',
  lastTransitionTime: '2026-11-23T10:00:00Z',
  reason: type,
  message: '',
  ...more,
});

export const QUEUED = {
  summary: 'Queued (3)',
  queuePosition: 3,
  nodeName: 'n7',
  conditions: [condition('Accepted'), condition('Reconciling')],
};

export const RUNNING = {
  summary: 'Running',
  nodeName: 'n7',
  conditions: [condition('Accepted'), condition('Running'), condition('Reconciling')],
};

export const SUCCEEDED_APP = {
  name: 'app',
  result: 'Succeeded',
  durationSeconds: 0.614,
  attempts: 1,
  archive: { path: '/archives/app.tar', sizeBytes: 47_510_016, createdTime: '2026-11-23T10:00:01Z' },
};

export const COMPLETE = {
  summary: 'Complete',
  nodeName: 'n7',
  conditions: [condition('Complete', { reason: 'Checkpointed' }), condition('Accepted')],
  containers: [SUCCEEDED_APP],
};
