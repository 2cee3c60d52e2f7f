// Takes orders in their turn, one at a time: recovers what an earlier process left, starts what may start, refuses what may not, and says so. Never starts what was not announced.
import type { NodeOrder, OrderReport } from '../../api/checkpoint-node.ts';
import type { ContainerResult } from '../../api/checkpoint-request.ts';
import type { NodeOrders, OrderReports, OrderSource } from '../../ports/order-source.ts';
import { createAlarm, retryMs } from './alarm.ts';
import { carryOut, explain, untilKept, type CarryOutParts } from './carry-out-order.ts';
import {
  isRequestUID,
  orderReport,
  refusedEntry,
  startedEntry,
  type LedgerEntry,
  type OrderLedger,
} from './order-ledger.ts';
import { NOT_FOUND_MS, planOrder, refusals, type ContainerPlan, type OrderPlan } from './order-subjects.ts';

export interface OrderRunnerParts extends CarryOutParts {
  readonly source: OrderSource;
  readonly reports: OrderReports;
  /** The switch for incidents. */
  readonly isPaused: () => boolean;
}

export interface OrderRunner {
  /** The orders may be different. */
  wake(): void;
  /** Something else that orders may wait for may be: pods, the switch. */
  look(): void;
  /** Works until `signal` aborts and the container that is being dumped then is done. Once only. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** Where the API server does not take a report, or nobody knows the container yet. */
const TRY_AGAIN_MS = 5_000;
/** How long after its deadline an order that was announced in time may still start; the controller gives it up 10 s after. */
const LATE_START_MS = 5_000;

export function createOrderRunner(parts: OrderRunnerParts): OrderRunner {
  return new Runner(parts);
}

interface Hold {
  /** Of the first try. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

class Runner implements OrderRunner {
  readonly #parts: OrderRunnerParts;
  readonly #alarm;
  readonly #ledger: OrderLedger;
  readonly #holds = new Map<string, Hold>();
  /** Reports of orders that stand, by request: what was finished, and what is announced or running. */
  readonly #reports = new Map<string, OrderReport>();
  readonly #strange = new Set<string>();

  constructor(parts: OrderRunnerParts) {
    this.#parts = parts;
    this.#ledger = parts.ledger;
    this.#alarm = createAlarm(parts.clock);
  }

  wake(): void {
    // Also while a container is being dumped: what has gone from the orders goes from the report.
    this.#tell();
    this.#alarm.wake();
  }

  look(): void {
    if ((this.#parts.source.read()?.orders ?? []).length > 0) this.#alarm.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      let delayMs: number;
      try {
        delayMs = await this.#step(signal);
        failures = 0;
      } catch (error) {
        failures += 1;
        delayMs = retryMs(failures);
        this.#parts.log.error('orders cannot be carried out, trying again', {
          error: explain(error),
          failures,
        });
      }
      await this.#alarm.wait(delayMs, signal);
    }
    await this.#sayGoodbye();
  }

  /** What is known is with the API server before the process ends, if that can be. */
  async #sayGoodbye(): Promise<void> {
    const orders = this.#listed();
    if (orders.length === 0) return;
    try {
      await this.#parts.reports.publish({ orders });
    } catch (error) {
      this.#parts.log.warn('last report of orders not taken, the next process sends it', {
        error: explain(error),
      });
    }
  }

  /** All that can be done now; returns after how long there may be more to do without being woken. */
  async #step(signal: AbortSignal): Promise<number> {
    const orders = this.#parts.source.read();
    if (orders === null) return Infinity;
    await this.#recall(orders);
    for (const entry of this.#ledger.unfinished()) {
      await this.#work(entry, signal);
      if (signal.aborted) return 0;
    }
    let next = this.#next();
    while (next !== null && !signal.aborted) {
      await this.#begin(next, signal);
      next = this.#next();
    }
    return this.#restMs();
  }

  /** Learns what came of the orders that stand, and forgets the others. */
  async #recall({ orders }: NodeOrders): Promise<void> {
    const standing = new Set(orders.map(({ requestUID }) => requestUID));
    for (const uid of [...this.#reports.keys(), ...this.#holds.keys()]) {
      if (standing.has(uid)) continue;
      this.#reports.delete(uid);
      this.#holds.delete(uid);
    }
    for (const { requestUID } of orders) {
      if (!this.#ledger.has(requestUID) || this.#reports.has(requestUID)) continue;
      const entry = await this.#ledger.read(requestUID);
      if (entry !== null) this.#reports.set(requestUID, orderReport(entry));
    }
    await this.#ledger.prune(standing);
    this.#tell();
  }

  #standing(requestUID: string): NodeOrder | null {
    const orders = this.#parts.source.read()?.orders ?? [];
    return orders.find((order) => order.requestUID === requestUID) ?? null;
  }

  /** The first order of the list whose turn it is; null: none now. */
  #next(): NodeOrder | null {
    const nowMs = this.#parts.clock.monotonicMs();
    const orders = this.#parts.source.read()?.orders ?? [];
    const next = orders.find((order) => {
      if (!this.#isNew(order)) return false;
      if (this.#isLate(order, 0)) return true;
      return !this.#parts.isPaused() && (this.#holds.get(order.requestUID)?.untilMs ?? 0) <= nowMs;
    });
    return next ?? null;
  }

  #isNew({ requestUID }: NodeOrder): boolean {
    if (isRequestUID(requestUID)) return !this.#ledger.has(requestUID);
    if (!this.#strange.has(requestUID)) {
      this.#strange.clear();
      this.#strange.add(requestUID);
      this.#parts.log.warn('order with a UID that is none, ignored', { request: requestUID });
    }
    return false;
  }

  #isLate({ startDeadline }: NodeOrder, graceMs: number): boolean {
    return startDeadline !== undefined && this.#parts.clock.now() > Date.parse(startDeadline) + graceMs;
  }

  /** Milliseconds until a deadline or the end of a hold. */
  #restMs(): number {
    const { clock } = this.#parts;
    const orders = (this.#parts.source.read()?.orders ?? []).filter((order) => this.#isNew(order));
    const times = orders.flatMap(({ requestUID, startDeadline }) => {
      const hold = this.#holds.get(requestUID);
      const deadlineMs = startDeadline === undefined ? NaN : Date.parse(startDeadline) + 1 - clock.now();
      return [
        ...(Number.isNaN(deadlineMs) ? [] : [deadlineMs]),
        ...(hold === undefined || this.#parts.isPaused() ? [] : [hold.untilMs - clock.monotonicMs()]),
      ];
    });
    return Math.max(0, Math.min(...times));
  }

  /** Starts the order, refuses it, or lets it wait. */
  async #begin(order: NodeOrder, signal: AbortSignal): Promise<void> {
    if (this.#isLate(order, 0)) {
      await this.#refuse(order, tooLate(order, this.#parts.isPaused()), signal);
      return;
    }
    const plan = await planOrder(order, this.#parts);
    if (plan.kind === 'Waiting') {
      await this.#wait(order, plan, signal);
      return;
    }
    if (plan.containers.some((container) => 'subject' in container)) {
      await this.#start(order, plan.containers, signal);
      return;
    }
    const results = plan.containers.flatMap((one) => ('refusal' in one ? [one.refusal] : []));
    await this.#refuse(order, results, signal);
  }

  async #start(order: NodeOrder, containers: readonly ContainerPlan[], signal: AbortSignal): Promise<void> {
    const { requestUID } = order;
    const mayStart = (): boolean => this.#standing(requestUID) !== null && !this.#parts.isPaused();
    if (!mayStart()) return;
    const names = containers.map(({ name }) => name);
    const started = startedEntry(order, names, new Date(this.#parts.clock.now()).toISOString());
    if (!(await this.#announce(started))) return;
    // Withdrawn, stopped or switched off while the API server took its time: nothing was done yet.
    if (!mayStart() || signal.aborted) return;
    if (this.#isLate(order, LATE_START_MS)) {
      await this.#refuse(order, tooLate(order, false), signal);
      return;
    }
    if (await untilKept(this.#parts, signal, () => this.#ledger.write(started)))
      await this.#work(started, signal);
  }

  /** True: the API server knows that it runs, and the order stood there then. */
  async #announce(entry: LedgerEntry): Promise<boolean> {
    const { requestUID } = entry;
    this.#reports.set(requestUID, orderReport(entry));
    try {
      const standing = await this.#parts.reports.publish({ orders: this.#listed() });
      if (standing === null || standing.some((order) => order.requestUID === requestUID)) {
        this.#holds.delete(requestUID);
        return true;
      }
      // Withdrawn, which our watch does not show yet: whoever withdrew it may have told already that it was never started.
      this.#reports.delete(requestUID);
      this.#hold(requestUID, TRY_AGAIN_MS);
      this.#tell();
      return false;
    } catch (error) {
      // It stays in the report: the API server may have taken it all the same.
      this.#parts.log.warn('start of an order was not taken by the API server, trying again', {
        request: requestUID,
        error: explain(error),
      });
      this.#hold(requestUID, TRY_AGAIN_MS);
      return false;
    }
  }

  async #wait(
    order: NodeOrder,
    plan: Extract<OrderPlan, { kind: 'Waiting' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const { requestUID } = order;
    const { sinceMs } = this.#hold(requestUID, TRY_AGAIN_MS);
    const waitedMs = this.#parts.clock.monotonicMs() - sinceMs;
    if (plan.why === 'NotFound' && waitedMs >= NOT_FOUND_MS) await this.#refuse(order, plan.refusals, signal);
  }

  #hold(requestUID: string, forMs: number): Hold {
    const nowMs = this.#parts.clock.monotonicMs();
    const sinceMs = this.#holds.get(requestUID)?.sinceMs ?? nowMs;
    const hold = { sinceMs, untilMs: nowMs + forMs };
    this.#holds.set(requestUID, hold);
    return hold;
  }

  async #refuse(order: NodeOrder, results: readonly ContainerResult[], signal: AbortSignal): Promise<void> {
    const entry = refusedEntry(order, results, new Date(this.#parts.clock.now()).toISOString());
    if (!(await untilKept(this.#parts, signal, () => this.#ledger.write(entry)))) return;
    this.#note(entry);
  }

  async #work(entry: LedgerEntry, signal: AbortSignal): Promise<void> {
    const onStep = (): void => {
      const now = this.#ledger.unfinished().find(({ requestUID }) => requestUID === entry.requestUID);
      if (now !== undefined) this.#note(now);
      this.#parts.onStep();
    };
    const order = this.#standing(entry.requestUID);
    const done = await carryOut(entry, order, { ...this.#parts, onStep }, signal);
    if (done.state === 'Finished') this.#note(done);
  }

  #note(entry: LedgerEntry): void {
    this.#holds.delete(entry.requestUID);
    this.#reports.set(entry.requestUID, orderReport(entry));
    this.#tell();
  }

  #tell(): void {
    this.#parts.reports.tell({ orders: this.#listed() });
  }

  /** As the spec lists them. */
  #listed(): OrderReport[] {
    const orders = this.#parts.source.read()?.orders ?? [];
    return orders.flatMap(({ requestUID }) => this.#reports.get(requestUID) ?? []);
  }
}

function tooLate(order: NodeOrder, isPaused: boolean): readonly ContainerResult[] {
  const why = isPaused ? 'checkpoints are paused' : 'others were before it, or it could not be started';
  const message = `not started before ${order.startDeadline ?? ''}: ${why}`;
  return refusals(order, 'DeadlineExceeded', message);
}
