// Requests in each of their states, and the world that they are judged in, for tables.
import type { OrderReport } from '../../../../src/api/checkpoint-node.ts';
import type { CheckpointRequestStatus } from '../../../../src/api/checkpoint-request.ts';
import type { RequestWorld } from '../../../../src/domain/requests/judge-request.ts';
import { readRequestFacts, type RequestFacts } from '../../../../src/domain/requests/request-facts.ts';

/** The requests of the tables were made then. */
export const CREATED = '2026-11-23T10:00:00Z';
export const CREATED_MS = Date.parse(CREATED);
export const FINALIZER = 'ghostlimit.dev/cleanup';

const condition = (type: string) => ({
  type,
  status: 'True' as const,
  reason: 'Queued',
  message: '',
  lastTransitionTime: CREATED,
});

const STATUSES: Record<string, CheckpointRequestStatus> = {
  New: { observedGeneration: -1 },
  Waiting: { conditions: [condition('Accepted')], nodeName: 'n1', podUID: 'pod-1' },
  Running: {
    conditions: [condition('Accepted'), condition('Running')],
    nodeName: 'n1',
    podUID: 'pod-1',
    startTime: CREATED,
  },
  Complete: {
    conditions: [condition('Accepted'), condition('Complete')],
    nodeName: 'n1',
    podUID: 'pod-1',
    startTime: CREATED,
  },
  Failed: { conditions: [condition('Accepted'), condition('Failed')], nodeName: 'n1', podUID: 'pod-1' },
};

export function aRequest(
  state: string,
  spec: Record<string, unknown> = {},
  changes: Partial<RequestFacts> = {},
): RequestFacts {
  return {
    ...readRequestFacts({
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointRequest',
      metadata: {
        namespace: 'shop',
        name: 'r1',
        uid: 'uid-1',
        generation: 1,
        creationTimestamp: CREATED,
        finalizers: [FINALIZER],
      },
      spec: { podName: 'web-1', ...spec },
      status: STATUSES[state],
    }),
    ...changes,
  };
}

/** `seconds` after the request was made; everything is fine. */
export function aWorld(seconds: number, changes: Partial<RequestWorld> = {}): RequestWorld {
  return {
    nowMs: CREATED_MS + seconds * 1000,
    paused: false,
    removal: false,
    pod: {
      uid: 'pod-1',
      nodeName: 'n1',
      phase: 'Running',
      containers: [
        { name: 'app', kind: 'Regular', running: true },
        { name: 'side', kind: 'Sidecar', running: true },
        { name: 'init', kind: 'Init', running: false },
      ],
    },
    node: { name: 'n1', exists: true, reported: true, agentLive: true },
    waitingInNamespace: 0,
    ordered: false,
    report: null,
    deletion: null,
    position: 1,
    ...changes,
  };
}

export function aNodeWord(state: OrderReport['state'], changes: Partial<OrderReport> = {}): OrderReport {
  return { requestUID: 'uid-1', state, containers: [], ...changes };
}
