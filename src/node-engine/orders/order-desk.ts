// Everything that a node does about orders, in one place: opens the ledger, then runs the work on orders and the upkeep of archives until the agent ends. No fault of it reaches the engine.
import type { StateStore } from '../../ports/state-store.ts';
import { pause, retryMs } from './alarm.ts';
import { createTurns, keepingInTurns } from './archive-keeping.ts';
import { createArchiveUpkeep } from './archive-upkeep.ts';
import { createCallSpacing } from './call-spacing.ts';
import { explain } from './carry-out-order.ts';
import { createRemains } from './clear-remains.ts';
import { openOrderLedger, type OrderLedger } from './order-ledger.ts';
import { createOrderRunner, type OrderRunnerParts } from './order-runner.ts';

export interface OrderDeskParts extends Omit<OrderRunnerParts, 'ledger' | 'spacing' | 'onStep'> {
  readonly state: StateStore;
  /** Tells when `isPaused` may have changed. */
  readonly watchPause: (onChange: () => void, signal: AbortSignal) => void;
}

/** Resolves after `signal` aborted and the container that is being dumped then is done. Never rejects. */
export async function runOrderDesk(parts: OrderDeskParts, signal: AbortSignal): Promise<void> {
  const ledger = await untilOpen(parts, signal);
  if (ledger === null) return;
  const turns = createTurns();
  const keeping = keepingInTurns(parts.keeping, turns);
  const upkeep = createArchiveUpkeep({
    ...parts,
    keeping,
    remains: createRemains({ ...parts, ledger, keeping }),
    isAtWork: (uid) => ledger.unfinished().some(({ requestUID }) => requestUID === uid),
  });
  const runner = createOrderRunner({
    ...parts,
    ledger,
    take: (order) => turns(() => parts.take(order)),
    spacing: createCallSpacing(parts.clock),
    keeping: {
      ...keeping,
      record: async (made) => {
        await keeping.record(made);
        upkeep.made();
      },
    },
    onStep: () => {
      upkeep.wake();
    },
  });
  parts.source.watch(() => {
    runner.wake();
    upkeep.wake();
  }, signal);
  parts.pods.watch(() => {
    runner.look();
  }, signal);
  parts.watchPause(() => {
    runner.look();
  }, signal);
  const background = new AbortController();
  const ended = upkeep.run(background.signal);
  await runner.run(signal);
  background.abort();
  await ended;
}

async function untilOpen(
  { state, log, clock }: OrderDeskParts,
  signal: AbortSignal,
): Promise<OrderLedger | null> {
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      return await openOrderLedger(state, log);
    } catch (error) {
      log.error('order ledger cannot be read, trying again', { error: explain(error), failures });
      await pause(clock, retryMs(failures), signal);
    }
  }
  return null;
}
