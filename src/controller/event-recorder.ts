// Kubernetes events about our objects. The controller alone emits them. Best effort: an event that cannot be written is logged and never retried.
import { createHash } from 'node:crypto';
import { apiVersionOf, type KubeObject } from '../api/kube-object.ts';
import { EVENTS } from '../api/kube-resources.ts';
import type { ReasonCode } from '../api/reasons.ts';
import type { Clock } from '../ports/clock.ts';
import { KubeApiError, type KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';

/** The same words about the same object are not said again for so long, milliseconds. */
export const EVENT_QUIET_MS = 600_000;
/** Source: Kubernetes 1.37 pkg/apis/core/validation/events.go, noteLengthLimit. */
const NOTE_BYTES = 1024;
const REMEMBERED = 4096;

export interface ClusterEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: ReasonCode;
  /** What was being done: "Reconcile", "Remove", "RollOut". */
  readonly action: string;
  readonly note: string;
}

export interface EventRecorder {
  emit(regarding: KubeObject, event: ClusterEvent): Promise<void>;
}

export interface EventRecorderParts {
  readonly kube: KubeApi;
  readonly clock: Clock;
  readonly log: Log;
  /** Namespace for events about cluster-scoped objects. */
  readonly namespace: string;
  /** Name of this controller's process, e.g. its pod. */
  readonly instance: string;
}

export function createEventRecorder({ kube, clock, log, ...self }: EventRecorderParts): EventRecorder {
  const saidAt = new Map<string, number>();
  return {
    emit: async (regarding, event) => {
      const key = createHash('sha256')
        .update(JSON.stringify([regarding.metadata.uid, event.reason, event.note]))
        .digest('hex');
      const before = saidAt.get(key);
      if (before !== undefined && clock.monotonicMs() - before < EVENT_QUIET_MS) return;
      if (saidAt.size >= REMEMBERED) saidAt.clear();
      saidAt.set(key, clock.monotonicMs());
      const now = clock.now();
      const name = `${regarding.metadata.name.slice(0, 200)}.${key.slice(0, 8)}${now.toString(16)}`;
      try {
        await kube.create(EVENTS, eventObject(regarding, event, { ...self, name, at: new Date(now) }));
      } catch (error) {
        const { message } = error as Error;
        if (error instanceof KubeApiError)
          log.debug('event refused', { error: message, status: error.status });
        else log.debug('event not written', { error: message });
      }
    },
  };
}

function eventObject(
  { apiVersion, kind, metadata }: KubeObject,
  { type, reason, action, note }: ClusterEvent,
  about: { readonly name: string; readonly at: Date; readonly namespace: string; readonly instance: string },
): KubeObject {
  const namespace = metadata.namespace ?? about.namespace;
  return {
    apiVersion: apiVersionOf(EVENTS),
    kind: EVENTS.kind,
    metadata: { name: about.name, namespace },
    // MicroTime: six digits after the second.
    eventTime: about.at.toISOString().replace('Z', '000Z'),
    reportingController: 'ghostlimit.dev/controller',
    reportingInstance: about.instance.slice(0, 128),
    type,
    reason,
    action,
    note: cut(note),
    regarding: {
      apiVersion,
      kind,
      name: metadata.name,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      ...(metadata.uid !== undefined && { uid: metadata.uid }),
    },
  };
}

function cut(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= NOTE_BYTES) return note;
  return `${new TextDecoder().decode(bytes.subarray(0, NOTE_BYTES - 6)).replace(/\uFFFD+$/, '')}…`;
}
