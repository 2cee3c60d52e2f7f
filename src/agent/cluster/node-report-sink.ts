// The ReportSink of an agent in a cluster: the status of its own CheckpointNode, written only when it says something new, spread over time so that thousands of agents do not write at once.
import { isDeepStrictEqual } from 'node:util';
import type { CheckpointNodeStatus } from '../../api/checkpoint-node.ts';
import { apiVersionOf, type KubeObject } from '../../api/kube-object.ts';
import { CHECKPOINT_NODES } from '../../api/kube-resources.ts';
import { AGENT_FIELD_MANAGER } from '../../api/names.ts';
import type { Reflector } from '../../machinery/reflector.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KubeApi } from '../../ports/kube-api.ts';
import type { Log } from '../../ports/log.ts';
import type { ReportSink } from '../../ports/report-sink.ts';
import type { PlanSeen } from './shard-plan-source.ts';

/** The same report is written anew after so long, milliseconds: what others changed in it, and what was lost, is mended then. */
export const REFRESH_MS = 600_000;
/** A report whose only news is that a plan was read, of which nothing concerns this node, waits so many times longer than others. */
const IDLE_NEWS_FACTOR = 10;
const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 60_000;

export interface NodeReportSinkParts {
  readonly kube: KubeApi;
  readonly nodeName: string;
  /** The agent's own CheckpointNode; the controller makes it. */
  readonly own: Reflector<KubeObject>;
  readonly plansSeen: () => readonly PlanSeen[];
  /** Over how many milliseconds agents spread their reports: nodes / 100 seconds. */
  readonly spreadMs: () => number;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
  readonly log: Log;
}

export interface NodeReportSink extends ReportSink {
  /** Writes what is due until `signal` aborts; then resolves, without writing what is still to come. */
  run(signal: AbortSignal): Promise<void>;
}

export function createNodeReportSink(parts: NodeReportSinkParts): NodeReportSink {
  return new SpreadingSink(parts);
}

interface Written {
  readonly status: CheckpointNodeStatus;
  /** Of the object that it was written to: one made anew knows nothing. */
  readonly uid: string;
  readonly atMs: number;
}

class SpreadingSink implements NodeReportSink {
  readonly #parts: NodeReportSinkParts;
  #wanted: CheckpointNodeStatus | null = null;
  #written: Written | null = null;
  #failures = 0;
  #dueAtMs = Infinity;
  #wake = (): void => undefined;

  constructor(parts: NodeReportSinkParts) {
    this.#parts = parts;
  }

  publish(report: CheckpointNodeStatus): Promise<void> {
    this.#wanted = { ...report, observedGeneration: this.#generation(), plans: [...this.#parts.plansSeen()] };
    this.#schedule();
    return Promise.resolve();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { own, clock } = this.#parts;
    const endOwn = own.subscribe(() => {
      if (this.#wanted !== null) this.#wanted = { ...this.#wanted, observedGeneration: this.#generation() };
      this.#schedule();
    });
    const onAbort = (): void => {
      this.#wake();
    };
    signal.addEventListener('abort', onAbort);
    while (!signal.aborted) {
      const waitMs = Math.min(REFRESH_MS, this.#dueAtMs - clock.monotonicMs());
      if (waitMs > 0) await this.#sleep(waitMs);
      else await this.#write(signal);
      if (this.#isStale()) this.#dueAtMs = Math.min(this.#dueAtMs, clock.monotonicMs());
    }
    signal.removeEventListener('abort', onAbort);
    endOwn();
  }

  #generation(): number {
    return this.#parts.own.store.get(this.#parts.nodeName)?.metadata.generation ?? 0;
  }

  /** The object to write to; undefined: the controller has not made it yet. */
  #uid(): string | undefined {
    return this.#parts.own.store.get(this.#parts.nodeName)?.metadata.uid;
  }

  #isStale(): boolean {
    const written = this.#written;
    // After a failure the next try has its time already, and without the object there is nothing to write to: it would be tried without a pause.
    if (written === null || this.#failures > 0 || this.#uid() === undefined) return false;
    return this.#parts.clock.monotonicMs() - written.atMs >= REFRESH_MS;
  }

  #schedule(): void {
    const wanted = this.#wanted;
    const uid = this.#uid();
    // After a failure the next try has its time already.
    if (wanted === null || uid === undefined || this.#failures > 0) return;
    const earlier = this.#written?.uid === uid ? this.#written.status : null;
    const factor = urgencyFactor(earlier, wanted);
    if (factor === null) return;
    const { clock, random, spreadMs } = this.#parts;
    this.#dueAtMs = Math.min(this.#dueAtMs, clock.monotonicMs() + factor * random() * spreadMs());
    this.#wake();
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { kube, nodeName, clock } = this.#parts;
    const status = this.#wanted;
    const uid = this.#uid();
    this.#dueAtMs = Infinity;
    if (status === null || uid === undefined) {
      // The object that is made next asks for the report itself, and at once.
      this.#failures = 0;
      return;
    }
    try {
      await kube.apply(CHECKPOINT_NODES, reportObject(nodeName, status), {
        fieldManager: AGENT_FIELD_MANAGER,
        force: true,
        subresource: 'status',
        signal,
      });
      this.#written = { status, uid, atMs: clock.monotonicMs() };
      this.#failures = 0;
      this.#schedule();
    } catch (error) {
      if (!signal.aborted) this.#retryLater(error as Error);
    }
  }

  #retryLater({ message }: Error): void {
    const { clock, random, log } = this.#parts;
    this.#failures += 1;
    const delayMs = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#failures - 1, 10));
    this.#dueAtMs = clock.monotonicMs() + delayMs * (0.5 + random());
    log.warn('report not written, trying again', { error: message, failures: this.#failures });
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(delayMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** How much of the spread a report may wait; null: it says nothing new. Pure. */
export function urgencyFactor(
  earlier: CheckpointNodeStatus | null,
  wanted: CheckpointNodeStatus,
): number | null {
  if (isDeepStrictEqual(earlier, wanted)) return null;
  // A failure is told at once; what is as it should be may wait its turn.
  if (isFailing(wanted) && (earlier === null || !isFailing(earlier))) return 0;
  if (earlier !== null && isDeepStrictEqual(earlier, { ...wanted, plans: earlier.plans }))
    return IDLE_NEWS_FACTOR;
  return 1;
}

function isFailing({ conditions, files }: CheckpointNodeStatus): boolean {
  return (
    conditions.some(({ type, status }) => type === 'Ready' && status === 'False') ||
    files.some(({ verdict }) => verdict === 'Refused')
  );
}

function reportObject(name: string, status: CheckpointNodeStatus): KubeObject {
  return {
    apiVersion: apiVersionOf(CHECKPOINT_NODES),
    kind: CHECKPOINT_NODES.kind,
    metadata: { name },
    status,
  };
}
