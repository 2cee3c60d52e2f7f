// One reconcile loop: keys from sources into a queue, workers out of it. Knows what to do with the outcome of a reconcile, and nothing of what it does.
import type { Clock } from '../ports/clock.ts';
import { KubeApiError } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { MachineryMetrics } from '../ports/machinery-metrics.ts';
import type { Reflector } from './reflector.ts';
import type { RetryLimits } from './retry-limiter.ts';
import type { Change } from './store.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

/** What a reconcile may ask for when it went well; nothing: come back when something changes. */
export interface ReconcileResult {
  /** Come back after so long even if nothing changes. */
  readonly requeueAfterMs?: number;
}

/**
 * Brings the world of one key to what is wanted, whatever made it ask. Never called twice at once for one key. A throw or a rejection is logged
 * and tried again later. When `signal` aborts it should end soon; what it leaves undone is done after the next start.
 */
export type Reconcile = (
  key: string,
  signal: AbortSignal,
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a reconcile without wishes need not say so
) => Promise<ReconcileResult | undefined | void>;

/** Where keys come from. */
export interface KeySource {
  /** True: everything that was there at the start has been told. False: `signal` aborted before. */
  whenSynced(signal: AbortSignal): Promise<boolean>;
  /** Tells the keys of what is already there, and then of each change. Returns how to end it. */
  subscribe(onKey: (key: string) => void): () => void;
}

export interface ControllerOptions {
  /** For log and metrics. */
  readonly name: string;
  readonly reconcile: Reconcile;
  readonly sources: readonly KeySource[];
  /** Keys at the same time; default 1. */
  readonly workers?: number;
  readonly retry?: RetryLimits;
}

export interface ControllerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MachineryMetrics;
}

export interface Controller {
  readonly name: string;
  /** Asks for a reconcile of `key`, now or after `delayMs`; ignored while the controller does not run. */
  enqueue(key: string, delayMs?: number): void;
  /** Resolves after `signal` aborted and the reconciles under way have ended; no new one begins. May run again afterwards. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** The keys that a change of the reflector's objects means; for its own objects `({ key }) => [key]`. `keysOf` is told of both states, so that what an object let go of is reconciled too. */
export function keysFrom<T>(
  reflector: Pick<Reflector<T>, 'whenSynced' | 'subscribe'>,
  keysOf: (change: Change<T>) => Iterable<string>,
): KeySource {
  return {
    whenSynced: (signal) => reflector.whenSynced(signal),
    subscribe: (onKey) =>
      reflector.subscribe((change) => {
        for (const key of keysOf(change)) onKey(key);
      }),
  };
}

export function createController(parts: ControllerParts, options: ControllerOptions): Controller {
  let queue: WorkQueue | null = null;
  return {
    name: options.name,
    enqueue: (key, delayMs = 0) => queue?.addAfter(key, delayMs),
    async run(signal) {
      if (queue !== null) throw new Error(`controller ${options.name} runs already`);
      const own = createWorkQueue({ ...parts, name: options.name }, options.retry);
      queue = own;
      const endSources = options.sources.map((source) =>
        source.subscribe((key) => {
          own.add(key);
        }),
      );
      const stop = (): void => {
        void own.shutDown();
      };
      signal.addEventListener('abort', stop);
      if (signal.aborted) stop();
      // Before all of its sources are complete a reconcile would see a world with parts missing, and may undo what it should keep.
      await Promise.all(options.sources.map((source) => source.whenSynced(signal)));
      const workers = Array.from({ length: options.workers ?? 1 }, () => work(parts, options, own, signal));
      await Promise.all(workers);
      signal.removeEventListener('abort', stop);
      for (const end of endSources) end();
      queue = null;
    },
  };
}

/** One worker: until the queue is shut down. */
async function work(
  parts: ControllerParts,
  options: ControllerOptions,
  queue: WorkQueue,
  signal: AbortSignal,
): Promise<void> {
  for (let key = await queue.get(); key !== null; key = await queue.get()) {
    // Keys that still wait at a stop are left: the next start tells them all again.
    if (!signal.aborted) await reconcileOnce(parts, options, queue, { key, signal });
    queue.done(key);
  }
}

async function reconcileOnce(
  { clock, log, metrics }: ControllerParts,
  { name, reconcile }: ControllerOptions,
  queue: WorkQueue,
  { key, signal }: { readonly key: string; readonly signal: AbortSignal },
): Promise<void> {
  const startedAtMs = clock.monotonicMs();
  const seconds = (): number => (clock.monotonicMs() - startedAtMs) / 1000;
  try {
    const requeueAfterMs = (await reconcile(key, signal))?.requeueAfterMs;
    queue.forget(key);
    if (requeueAfterMs !== undefined) queue.addAfter(key, requeueAfterMs);
    metrics.reconciled(name, requeueAfterMs === undefined ? 'success' : 'requeue_after', seconds());
  } catch (error) {
    if (signal.aborted) return;
    metrics.reconciled(name, 'error', seconds());
    const retryAfterMs = error instanceof KubeApiError ? (error.retryAfterMs ?? 0) : 0;
    log.warn('reconcile failed, trying again', {
      controller: name,
      key,
      error,
      failures: queue.failures(key) + 1,
    });
    queue.addRateLimited(key, retryAfterMs);
  }
}
