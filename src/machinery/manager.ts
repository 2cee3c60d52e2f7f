// Starts the parts of a program in order and stops them in reverse, within a bound. Knows nothing of what they do.
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { asError } from './deadline.ts';
import { type LeaderElection, LeaderWorkStuck } from './leader-election.ts';
import { sleep } from './sleep.ts';

/** A part that runs until its signal aborts. Ending before, well or not, stops the whole program. */
export interface Runnable {
  readonly name: string;
  run(signal: AbortSignal): Promise<void>;
}

/** A part that has to be complete before others begin. */
export interface CacheRunnable extends Runnable {
  whenSynced(signal: AbortSignal): Promise<boolean>;
}

export interface ManagerParts {
  readonly clock: Clock;
  readonly log: Log;
}

export interface ManagerOptions {
  /** Started first, stopped last. */
  readonly caches: readonly CacheRunnable[];
  /** Run in every process, once the caches are complete. */
  readonly always: readonly Runnable[];
  /** Run while this process leads, once the caches are complete. They may be started again after a loss of the lease. */
  readonly leaderOnly: readonly Runnable[];
  /** An election whose work is `work`. null: there is just this one process, and it leads. */
  readonly elect: ((work: (signal: AbortSignal) => Promise<void>) => LeaderElection) | null;
  /** For the whole of a stop; below the pod's terminationGracePeriodSeconds. Default 20 s. */
  readonly stopLimitMs?: number;
}

/** The parts that did not end in time; the program should exit nevertheless. */
export class StopTimedOut extends Error {
  override readonly name = 'StopTimedOut';
}

const STOP_LIMIT_MS = 20_000;

/**
 * Resolves when `signal` aborted and everything has ended in good order: leader's work, the lease given up, other parts, caches.
 * Rejects with the first failure of a part, after the others have been stopped, or with StopTimedOut;
 * that one at once when the leader's work goes on without the lease.
 */
export async function runManager(
  { clock, log }: ManagerParts,
  options: ManagerOptions,
  signal: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const mustExit = new AbortController();
  const fail = (error: Error): void => {
    log.error('a part failed, stopping all', { error });
    failed.abort();
    if (error instanceof LeaderWorkStuck) mustExit.abort();
  };
  const stages = [startStage(options.caches, fail)];
  const over = Promise.race([aborted(signal), aborted(failed.signal)]);
  const synced = Promise.all(options.caches.map((cache) => cache.whenSynced(signal)));
  const ready = await Promise.race([synced.then((each) => each.every(Boolean)), over.then(() => false)]);
  if (ready) {
    log.info('caches complete');
    stages.push(startStage(options.always, fail), startStage(leaderParts(options, fail), fail));
    await over;
  }
  log.info('stopping');
  const limitMs = options.stopLimitMs ?? STOP_LIMIT_MS;
  const stopped = new AbortController();
  const tooLate = sleep(clock, limitMs, stopped.signal);
  const failure = await Promise.race([
    stopInReverse(stages),
    Promise.race([tooLate, aborted(mustExit.signal)]).then(() => cutShort(stages, limitMs)),
  ]);
  stopped.abort();
  if (failure !== null) throw failure;
  log.info('stopped');
}

/** Parts that start and stop together; when one fails or ends by itself, the others are stopped. */
interface Stage {
  readonly stop: () => void;
  /** When all of them have ended: null, or the first failure. */
  readonly ended: Promise<Error | null>;
  /** Names of those that have not. */
  readonly running: () => readonly string[];
}

/** `onFailure` is called at once, as the others may take long to end. */
function startStage(runnables: readonly Runnable[], onFailure: (error: Error) => void): Stage {
  const control = new AbortController();
  const running = new Set(runnables.map(({ name }) => name));
  let failure: Error | null = null;
  const runOne = async (runnable: Runnable): Promise<void> => {
    try {
      await runnable.run(control.signal);
      if (!control.signal.aborted) throw new Error(`${runnable.name} ended by itself`);
    } catch (thrown) {
      const error = asError(thrown);
      failure ??= error;
      control.abort();
      onFailure(error);
    }
    running.delete(runnable.name);
  };
  const ended = Promise.all([aborted(control.signal), ...runnables.map(runOne)]).then(() => failure);
  return {
    stop: () => {
      control.abort();
    },
    ended,
    running: () => [...running],
  };
}

/** One after the other, the last started first; the first failure, or null. */
async function stopInReverse(stages: readonly Stage[]): Promise<Error | null> {
  let failure: Error | null = null;
  for (const stage of stages.toReversed()) {
    stage.stop();
    const problem = await stage.ended;
    failure ??= problem;
  }
  return failure;
}

function cutShort(stages: readonly Stage[], limitMs: number): StopTimedOut {
  const names = stages.flatMap((stage) => stage.running());
  // Nobody waits for them any more; those that listen may still end.
  for (const stage of stages) stage.stop();
  return new StopTimedOut(`still running, limit ${limitMs} ms: ${names.join(', ')}`);
}

function leaderParts(
  { elect, leaderOnly }: ManagerOptions,
  onFailure: (error: Error) => void,
): readonly Runnable[] {
  if (elect === null) return leaderOnly;
  const election = elect(async (signal) => {
    const stage = startStage(leaderOnly, onFailure);
    void aborted(signal).then(stage.stop);
    const failure = await stage.ended;
    if (failure !== null) throw failure;
  });
  return [{ name: 'leader election', run: (signal) => election.run(signal) }];
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else {
      signal.addEventListener(
        'abort',
        () => {
          resolve();
        },
        { once: true },
      );
    }
  });
}
