// The agent's loop: one pass after another, never two at once; asked for by sources, by drift, by due scans and by a slow clock.
import { RUNC_CONF_PATH } from '../api/names.ts';
import { DEFAULT_CONF_PATH } from '../node-engine/inherited-limit.ts';
import { isInForce } from '../domain/rollup/node-report.ts';
import {
  createNodeEngine,
  type NodeEngine,
  type NodeEngineParts,
  type ReconcileResult,
} from '../node-engine/node-engine.ts';

/** Sources speak in bursts: one pass for all that came within this time. */
const DEBOUNCE_MS = 20;
/** Watches can miss (remounts, network file systems): everything is compared at least this often. */
const COMPARE_MS = 60_000;
/** While lines of a running dump stand: its owner may be killed, and then we take them back. */
const DUMP_WATCH_MS = 2_000;
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 30_000;

export interface AgentHealth {
  /** null: passes go through; else the last failure. */
  problem(): string | null;
  /** True after the first pass. */
  ready(): boolean;
}

export interface RunningAgent {
  readonly health: AgentHealth;
  /** Resolves when the loop has ended after `signal` aborted; a pass under way is finished first. */
  readonly done: Promise<void>;
}

interface LoopState {
  asked: boolean;
  problem: string | null;
  ready: boolean;
  /** Passes in a row that were rejected. */
  failures: number;
  /** 0: nothing was written. Else passes in a row that could not write a CRIU file; 1 after one that could. */
  unsettled: number;
}

export function runAgent(parts: NodeEngineParts, signal: AbortSignal): RunningAgent {
  const engine = createNodeEngine(parts);
  const state: LoopState = {
    asked: true,
    problem: null,
    ready: false,
    failures: 0,
    unsettled: 0,
  };
  let wake = (): void => undefined;
  const ask = (): void => {
    state.asked = true;
    wake();
  };
  // Our own writes, and attempts that fail, change the directory too; and another program may undo each of them at once. So after such a pass there is no
  // quick answer to the files, but a look after a while that grows.
  const askForFiles = (): void => {
    if (state.unsettled === 0) ask();
  };
  parts.plan.watch(ask, signal);
  parts.workloads.watch(ask, signal);
  parts.files.watch(RUNC_CONF_PATH, askForFiles, signal);
  parts.files.watch(DEFAULT_CONF_PATH, askForFiles, signal);
  signal.addEventListener('abort', () => {
    wake();
  });

  /** Until `delayMs` passed, or `isDone` when woken, or the end of the agent. */
  const sleep = (delayMs: number, isDone: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        cancel();
        wake = () => undefined;
        resolve();
      };
      const cancel = parts.clock.after(delayMs, end);
      wake = () => {
        if (signal.aborted || isDone()) end();
      };
      wake();
    });

  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      state.asked = false;
      const delayMs = await pass(engine, parts, state);
      await sleep(delayMs, () => state.asked);
      await sleep(DEBOUNCE_MS, () => false);
    }
    await engine.end();
  };
  return { health: { problem: () => state.problem, ready: () => state.ready }, done: loop() };
}

/** One pass and the scans that are due; returns how long to rest when nobody asks, milliseconds. */
async function pass(engine: NodeEngine, parts: NodeEngineParts, state: LoopState): Promise<number> {
  try {
    let result = await engine.reconcile();
    if (await engine.scanDue()) {
      const second = await engine.reconcile();
      result = { ...second, settled: result.settled && second.settled };
    }
    state.problem = null;
    state.ready = true;
    state.failures = 0;
    state.unsettled = result.settled ? 0 : isWellWritten(result) ? 1 : state.unsettled + 1;
    return Math.min(
      COMPARE_MS,
      engine.untilNextScanMs() ?? COMPARE_MS,
      result.dumpRunning ? DUMP_WATCH_MS : COMPARE_MS,
      result.settled ? COMPARE_MS : retryDelayMs(state.unsettled),
    );
  } catch (error) {
    state.problem = error instanceof Error ? error.message : String(error);
    state.failures += 1;
    parts.metrics.reconciled(0, 'error');
    parts.log.error('pass failed, trying again', { error, failures: state.failures });
    return retryDelayMs(state.failures);
  }
}

/** What was written holds: only its traces are still to come. Or it waits for somebody to close the file. Programs that undo it each time are the engine's to tell (fight-memory.ts). */
function isWellWritten({ report }: ReconcileResult): boolean {
  return report.files.every(({ state }) => isInForce(state) || state === 'FileBeingWritten');
}

/** 500 ms after the first of a row, then twice as long each time, at most 30 s. */
function retryDelayMs(count: number): number {
  return Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(count - 1, 10));
}
