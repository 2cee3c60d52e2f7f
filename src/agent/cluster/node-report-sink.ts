// The ReportSink of an agent in a cluster: the status of its own CheckpointNode, written only when it says something new, spread over time so that thousands of agents do not write at once.
import { isDeepStrictEqual } from 'node:util';
import {
  readCheckpointNodeSpec,
  readCheckpointNodeStatus,
  type CheckpointNodeStatus,
  type NodeOrder,
} from '../../api/checkpoint-node.ts';
import { apiVersionOf, type KubeObject } from '../../api/kube-object.ts';
import { CHECKPOINT_NODES } from '../../api/kube-resources.ts';
import { AGENT_FIELD_MANAGER } from '../../api/names.ts';
import type { Reflector } from '../../machinery/reflector.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KubeApi } from '../../ports/kube-api.ts';
import type { Log } from '../../ports/log.ts';
import type { OrderNews, OrderReports } from '../../ports/order-source.ts';
import type { ReportSink } from '../../ports/report-sink.ts';
import type { PlanSeen } from './shard-plan-source.ts';

/** The same report is written anew after so long, milliseconds: what others changed in it, and what was lost, is mended then. */
export const REFRESH_MS = 600_000;
/** A report whose only news is that a plan was read, of which nothing concerns this node, waits so many times longer than others. */
const IDLE_NEWS_FACTOR = 10;
/** How long who publishes news of orders waits for the API server. */
export const TAKEN_LIMIT_MS = 10_000;
const PROBLEMS_MAX = 32;
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
  readonly orders: OrderReports;
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

interface Waiting {
  /** The news that it waits for, and all before them. */
  readonly version: number;
  readonly resolve: (orders: readonly NodeOrder[] | null) => void;
}

class SpreadingSink implements NodeReportSink {
  readonly #parts: NodeReportSinkParts;
  readonly orders: OrderReports = {
    tell: (news) => {
      this.#tell(news);
    },
    publish: (news) => this.#publishOrders(news),
  };
  /** The engine's part. */
  #report: CheckpointNodeStatus | null = null;
  /** The orders' part, as far as it was told. */
  #news: OrderNews = {};
  /** Counts what was told of orders. */
  #version = 0;
  readonly #waiting = new Set<Waiting>();
  #written: Written | null = null;
  #failures = 0;
  #dueAtMs = Infinity;
  #wake = (): void => undefined;

  constructor(parts: NodeReportSinkParts) {
    this.#parts = parts;
  }

  publish(report: CheckpointNodeStatus): Promise<void> {
    this.#report = { ...report, plans: [...this.#parts.plansSeen()] };
    this.#schedule();
    return Promise.resolve();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { own, clock } = this.#parts;
    const endOwn = own.subscribe(() => {
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

  #tell(news: OrderNews): void {
    this.#news = { ...this.#news, ...news };
    this.#version += 1;
    this.#schedule();
  }

  #publishOrders(news: OrderNews): Promise<readonly NodeOrder[] | null> {
    this.#tell(news);
    const { clock } = this.#parts;
    if (this.#isWritten()) return Promise.resolve(null);
    // Also in the pause after a failure: somebody waits for it.
    this.#dueAtMs = clock.monotonicMs();
    this.#wake();
    return new Promise((resolve, reject) => {
      const cancel = clock.after(TAKEN_LIMIT_MS, () => {
        this.#waiting.delete(waiting);
        reject(new Error(`the API server did not take the report within ${TAKEN_LIMIT_MS.toString()} ms`));
      });
      const waiting: Waiting = {
        version: this.#version,
        resolve: (orders) => {
          cancel();
          resolve(orders);
        },
      };
      this.#waiting.add(waiting);
    });
  }

  #isWritten(): boolean {
    const wanted = this.#wanted();
    const written = this.#written;
    if (wanted === null || written === null || written.uid !== this.#uid()) return false;
    return urgencyFactor(written.status, wanted) === null;
  }

  /** The whole status; null: nothing is known to write. Until the engine has made its first pass what stands there stays. */
  #wanted(): CheckpointNodeStatus | null {
    const { orders, deletions, triggers, storage } = this.#news;
    const isWhole = this.#report !== null && [orders, deletions, triggers, storage].every(Boolean);
    const before = isWhole ? null : this.#standing();
    const report = this.#report ?? before;
    if (report === null) return null;
    return mergeReport({ ...report, observedGeneration: this.#generation() }, this.#news, before);
  }

  #standing(): CheckpointNodeStatus | null {
    const object = this.#parts.own.store.get(this.#parts.nodeName);
    return object === null ? null : readCheckpointNodeStatus(object);
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
    // Before the first pass only orders have something to say.
    if (this.#report === null && this.#version === 0) return;
    const wanted = this.#wanted();
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
    const status = this.#wanted();
    const uid = this.#uid();
    const version = this.#version;
    this.#dueAtMs = Infinity;
    if (status === null || uid === undefined) {
      // The object that is made next asks for the report itself, and at once.
      this.#failures = 0;
      return;
    }
    try {
      const taken = await kube.apply(CHECKPOINT_NODES, reportObject(nodeName, status), {
        fieldManager: AGENT_FIELD_MANAGER,
        force: true,
        subresource: 'status',
        signal,
      });
      this.#written = { status, uid, atMs: clock.monotonicMs() };
      this.#failures = 0;
      this.#resolveWaiting(version, readCheckpointNodeSpec(taken)?.orders ?? null);
      // What was asked for meanwhile may be what was written just now.
      this.#dueAtMs = this.#waiting.size > 0 ? clock.monotonicMs() : Infinity;
      this.#schedule();
    } catch (error) {
      if (!signal.aborted) this.#retryLater(error as Error);
    }
  }

  #resolveWaiting(version: number, orders: readonly NodeOrder[] | null): void {
    for (const waiting of [...this.#waiting]) {
      if (waiting.version > version) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(orders);
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

/**
 * The engine's report with what orders have to say. Parts of which nobody has said anything yet are as they stand in the API: an agent that has just been
 * started does not take back what the one before it has told. Lists that are empty are absent. Pure.
 */
export function mergeReport(
  report: CheckpointNodeStatus,
  news: OrderNews,
  standing: CheckpointNodeStatus | null,
): CheckpointNodeStatus {
  const {
    orders: _orders,
    deletions: _deletions,
    triggers: _triggers,
    storage: _storage,
    ...engine
  } = report;
  const problems = [...engine.problems, ...(news.problems ?? [])].slice(0, PROBLEMS_MAX);
  const told = Object.entries({ ...partsOf(standing), ...partsOf(news) });
  const parts = told.filter(([, part]) => !(Array.isArray(part) && part.length === 0));
  return { ...engine, problems, ...(Object.fromEntries(parts) as OrderNews) };
}

function partsOf(from: OrderNews | null): OrderNews {
  const { orders, deletions, triggers, storage } = from ?? {};
  const parts = Object.entries({ orders, deletions, triggers, storage });
  return Object.fromEntries(parts.filter(([, part]) => part !== undefined));
}

/** How much of the spread a report may wait; null: it says nothing new. Pure. */
export function urgencyFactor(
  earlier: CheckpointNodeStatus | null,
  wanted: CheckpointNodeStatus,
): number | null {
  // Free space is never twice the same, and goes with what else there is to say.
  if (isDeepStrictEqual(earlier === null ? null : withoutFreeSpace(earlier), withoutFreeSpace(wanted)))
    return null;
  // Somebody waits for what comes of orders; and a failure is told at once. What is as it should be may wait its turn.
  if (!isDeepStrictEqual(orderParts(earlier), orderParts(wanted))) return 0;
  if (isFailing(wanted) && (earlier === null || !isFailing(earlier))) return 0;
  if (
    earlier !== null &&
    isDeepStrictEqual(withoutFreeSpace(earlier), withoutFreeSpace({ ...wanted, plans: earlier.plans }))
  )
    return IDLE_NEWS_FACTOR;
  return 1;
}

function withoutFreeSpace({ storage, ...status }: CheckpointNodeStatus): unknown {
  return { ...status, storage: storage === undefined ? null : [storage.archives, storage.bytes] };
}

function orderParts(status: CheckpointNodeStatus | null): unknown {
  return [status?.orders ?? [], status?.deletions ?? [], status?.triggers ?? []];
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
