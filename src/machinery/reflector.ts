// Keeps a store equal to one resource of the API server: LIST once, then WATCH for good, resumed from the last resourceVersion after whatever happens.
// Never writes to the server, never ends by itself, and gives nobody an object: handlers learn which key changed.
import type { KubeObject, KubeResource } from '../api/kube-object.ts';
import { objectKey } from '../api/kube-object.ts';
import type { Clock } from '../ports/clock.ts';
import { type KubeApi, KubeApiError, type KubeSelection, type WatchEvent } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { MachineryMetrics } from '../ports/machinery-metrics.ts';
import { createBackoff, type Random } from './backoff.ts';
import { asError, withDeadline } from './deadline.ts';
import { listAll } from './list-all.ts';
import { isNewer } from './resource-version.ts';
import { sleep } from './sleep.ts';
import { type Change, createStore, type IndexFunctions, type StoreView } from './store.ts';
import { isGone, type WatchEnd, watchOnce } from './watch-once.ts';

/** The server ends a watch after so many seconds, at random, so that thousands do not reopen at once. */
const WATCH_SECONDS = { least: 600, most: 1200 };
/** A watch that lived so long was a real one: what ended it is a new story, and the back-off starts anew. */
const HEALTHY_MS = 30_000;
/** Bookmarks come each minute (measured: kube-apiserver 1.37, also where nothing changes). */
const IDLE_MS = 150_000;
/** Not every server sends them before something has changed: a watch without a word from its opening on may just be quiet, and the next gets twice as long. */
const IDLE_LAST_MS = 600_000;
/** After so long without a word the server may have been restored from a backup, and our resourceVersion lies in its future: it would be silent for good. */
const SILENCE_MS = 1_800_000;
/** How early the end of a watch by the server still counts as its time-out. */
const ON_TIME_MS = 5_000;
const LIST_LIMIT_MS = 60_000;
const ERROR_BACKOFF = { firstMs: 800, lastMs: 30_000 };
const SMALL_JITTER_MS = 1_000;
const LOST = 'watch lost';

export interface ReflectorParts {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MachineryMetrics;
  readonly random: Random;
}

export interface ReflectorOptions<T> {
  /** For log and metrics. */
  readonly name: string;
  readonly resource: KubeResource;
  readonly selection?: KubeSelection;
  /** Objects a page of a LIST; absent: all in one answer, from the server's cache. */
  readonly pageSize?: number;
  /** What is kept of an object, which comes without managedFields. Pure. An object for which it throws stays as it was in the store, and the log says so. */
  readonly project: (object: KubeObject) => T;
  readonly indexes?: IndexFunctions<T>;
  /** A watch that was lost is opened again after 0 to so many milliseconds; 30,000 where thousands lose theirs at once. Default 1,000. */
  readonly lossJitterMs?: number;
}

export interface ReflectorStatus {
  /** The store has held the whole collection once. */
  readonly synced: boolean;
  /** What keeps us from listing or watching; null: nothing, as far as we know. */
  readonly lastError: {
    readonly at: number;
    readonly message: string;
    readonly httpStatus: number | null;
  } | null;
  /** Of the newest list, event or bookmark. */
  readonly resourceVersion: string | null;
}

export interface Reflector<T> {
  readonly name: string;
  readonly store: StoreView<T>;
  status(): ReflectorStatus;
  /** True: the store holds the whole collection. False: `signal` aborted before. */
  whenSynced(signal: AbortSignal): Promise<boolean>;
  /** Tells at once of all that the store has, as new, and then of each change after the store has it; several changes of one key may come as one. `handler` must be quick: the watch waits for it. Returns how to end it. */
  subscribe(handler: (change: Change<T>) => void): () => void;
  /** Resolves after `signal` aborted, and not before. Once only. */
  run(signal: AbortSignal): Promise<void>;
}

/** A reflector that keeps `project(object)` of each object. */
export function createReflector<T>(parts: ReflectorParts, options: ReflectorOptions<T>): Reflector<T> {
  return new ListWatcher(parts, options);
}

/** A reflector that keeps the objects as they are, but for managedFields (more than half of a small object's bytes). */
export function createObjectReflector(
  parts: ReflectorParts,
  options: Omit<ReflectorOptions<KubeObject>, 'project'>,
): Reflector<KubeObject> {
  return new ListWatcher(parts, { ...options, project: (object) => object });
}

class ListWatcher<T> implements Reflector<T> {
  readonly name: string;
  readonly #parts: ReflectorParts;
  readonly #options: ReflectorOptions<T>;
  readonly #store;
  readonly #backoff;
  readonly #handlers = new Set<(change: Change<T>) => void>();
  readonly #waiting = new Set<() => void>();
  #synced = false;
  #lastError: ReflectorStatus['lastError'] = null;
  /** Where the next watch goes on; null: list first. */
  #position: string | null = null;
  /** For the next list: "0", not older than this, or null for the newest. */
  #listFrom: string | null = '0';
  /** Watches in a row that we closed without having heard a word, and how long those and others without a word lasted together. */
  #quietWatches = 0;
  #quietMs = 0;
  /** A 410 came since a watch was last healthy. */
  #gone = false;

  constructor(parts: ReflectorParts, options: ReflectorOptions<T>) {
    this.name = options.name;
    this.#parts = parts;
    this.#options = options;
    this.#store = createStore(options.indexes);
    this.#backoff = createBackoff(ERROR_BACKOFF, parts.random);
  }

  get store(): StoreView<T> {
    return this.#store;
  }

  status(): ReflectorStatus {
    return { synced: this.#synced, lastError: this.#lastError, resourceVersion: this.#position };
  }

  whenSynced(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#waiting.delete(end);
        signal.removeEventListener('abort', end);
        resolve(this.#synced);
      };
      if (this.#synced || signal.aborted) {
        end();
        return;
      }
      this.#waiting.add(end);
      signal.addEventListener('abort', end);
    });
  }

  subscribe(handler: (change: Change<T>) => void): () => void {
    this.#handlers.add(handler);
    for (const key of this.#store.keys())
      this.#tellOne(handler, { key, before: null, after: this.#store.get(key) });
    return () => {
      this.#handlers.delete(handler);
    };
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let delayMs = await this.#list(signal);
      if (this.#position !== null && !isAborted(signal)) {
        delayMs = await this.#watch(this.#position, signal);
      }
      await sleep(this.#parts.clock, delayMs, signal);
    }
  }

  /** Lists if that is to be done; returns how long to wait where it failed. */
  async #list(signal: AbortSignal): Promise<number> {
    if (this.#position !== null) return 0;
    const { api, clock, metrics } = this.#parts;
    const request = {
      resource: this.#options.resource,
      selection: this.#options.selection ?? {},
      resourceVersion: this.#listFrom,
      pageSize: this.#options.pageSize ?? null,
    };
    const startedAtMs = clock.monotonicMs();
    const seconds = (): number => (clock.monotonicMs() - startedAtMs) / 1000;
    try {
      const list = await withDeadline(clock, LIST_LIMIT_MS, signal, (own) => listAll(api, request, own));
      metrics.listed(this.name, 'success', seconds());
      this.#replace(list.items, list.resourceVersion);
      return 0;
    } catch (thrown) {
      if (signal.aborted) return 0;
      metrics.listed(this.name, 'error', seconds());
      // A server that was restored from a backup, or lags far behind, does not reach our resourceVersion (504); one that forgot it says 410.
      if (isGone(thrown) || (thrown instanceof KubeApiError && thrown.status === 504)) this.#listFrom = null;
      return this.#failed('list failed, trying again', asError(thrown));
    }
  }

  /** One watch; returns how long to wait before the next step. */
  async #watch(from: string, signal: AbortSignal): Promise<number> {
    const { api, clock, metrics, random } = this.#parts;
    const timeoutSeconds = Math.round(
      WATCH_SECONDS.least + random() * (WATCH_SECONDS.most - WATCH_SECONDS.least),
    );
    const end = await watchOnce(
      clock,
      {
        open: (own) =>
          api.watch(this.#options.resource, {
            ...this.#options.selection,
            resourceVersion: from,
            timeoutSeconds,
            signal: own,
          }),
        onEvent: (event) => {
          this.#receive(event);
        },
        idle: {
          beforeFirstMs: Math.min(IDLE_LAST_MS, IDLE_MS * 2 ** this.#quietWatches),
          afterwardsMs: IDLE_MS,
        },
        healthy: {
          afterMs: HEALTHY_MS,
          action: () => {
            this.#lastError = null;
            this.#gone = false;
            this.#backoff.reset();
          },
        },
      },
      signal,
    );
    metrics.watched(this.name, end.reason, end.livedMs / 1000);
    if (end.reason === 'stopped') return 0;
    this.#decideNext(end);
    return this.#delayAfter(end, timeoutSeconds * 1000);
  }

  /** Goes on watching from the last resourceVersion, unless only a list can help. */
  #decideNext(end: WatchEnd): void {
    if (end.heard) this.#hear();
    else if (end.reason === 'ended' || end.reason === 'idle') {
      if (end.reason === 'idle') this.#quietWatches += 1;
      this.#quietMs += end.livedMs;
    }
    if (end.reason === 'gone') {
      // Not older than what we have: another server of the same cluster may lag behind, and the store would go back in time.
      this.#listFrom = this.#position;
      this.#position = null;
    } else if (this.#quietMs >= SILENCE_MS) {
      this.#listFrom = null;
      this.#position = null;
    }
  }

  #delayAfter(end: WatchEnd, timeoutMs: number): number {
    const { livedMs, reason } = end;
    if (reason === 'ended' && livedMs >= timeoutMs - ON_TIME_MS) return this.#jitterMs(SMALL_JITTER_MS);
    const firstGone = reason === 'gone' && !this.#gone;
    this.#gone ||= reason === 'gone';
    if (livedMs >= HEALTHY_MS) return this.#lost(end, this.#options.lossJitterMs ?? SMALL_JITTER_MS);
    // A restarted server refuses every watch from before: it answers, and who asked has waited for it already. So the list need not wait again.
    if (firstGone) return this.#lost(end, SMALL_JITTER_MS);
    return this.#failed(LOST, end.error ?? new Error('the server closed the watch early'));
  }

  /** Part of life; returns how long to wait. */
  #lost({ reason, livedMs, error }: WatchEnd, jitterMs: number): number {
    this.#parts.log.info(LOST, { source: this.name, reason, livedMs, error: error?.message });
    return retryAfterMs(error) + this.#jitterMs(jitterMs);
  }

  /** Notes the error; returns how long to wait. */
  #failed(message: string, error: Error): number {
    const httpStatus = error instanceof KubeApiError ? error.status : null;
    this.#lastError = { at: this.#parts.clock.now(), message: error.message, httpStatus };
    // The wait of the back-off on top, not instead: or all who were told "1 second" come back in the same second.
    const delayMs = retryAfterMs(error) + this.#backoff.nextMs();
    this.#parts.log.warn(message, { source: this.name, error: error.message, httpStatus, delayMs });
    return delayMs;
  }

  #hear(): void {
    this.#quietWatches = 0;
    this.#quietMs = 0;
  }

  #jitterMs(mostMs: number): number {
    return mostMs * this.#parts.random();
  }

  #replace(items: readonly KubeObject[], resourceVersion: string): void {
    const present = new Set<string>();
    const changes: (Change<T> | null)[] = [];
    for (const item of items) {
      present.add(objectKey(item.metadata));
      changes.push(this.#put(item));
    }
    for (const key of this.#store.keys()) if (!present.has(key)) changes.push(this.#store.remove(key));
    this.#position = resourceVersion;
    this.#hear();
    this.#lastError = null;
    this.#tell(changes);
    if (this.#synced) return;
    this.#synced = true;
    for (const resolve of [...this.#waiting]) resolve();
  }

  #receive({ type, object }: WatchEvent): void {
    const { resourceVersion } = object.metadata;
    // Within one watch only newer things may come: what is not newer was delivered before, and would bring deleted objects back.
    if (
      resourceVersion === undefined ||
      (this.#position !== null && !isNewer(resourceVersion, this.#position))
    ) {
      return;
    }
    this.#position = resourceVersion;
    if (type === 'BOOKMARK') return;
    this.#tell([type === 'DELETED' ? this.#store.remove(objectKey(object.metadata)) : this.#put(object)]);
  }

  #put(object: KubeObject): Change<T> | null {
    const key = objectKey(object.metadata);
    try {
      const value = this.#options.project(withoutManagedFields(object));
      return this.#store.put(key, value, object.metadata.resourceVersion ?? '');
    } catch (error) {
      this.#parts.log.error('object cannot be read, keeping what was known of it', {
        source: this.name,
        key,
        error,
      });
      return null;
    }
  }

  #tell(changes: readonly (Change<T> | null)[]): void {
    const real = changes.filter((change) => change !== null);
    if (real.length > 0) this.#parts.metrics.objectsHeld(this.name, this.#store.size);
    for (const change of real) {
      for (const handler of [...this.#handlers]) this.#tellOne(handler, change);
    }
  }

  #tellOne(handler: (change: Change<T>) => void, change: Change<T>): void {
    try {
      handler(change);
    } catch (error) {
      this.#parts.log.error('handler of a change failed', { source: this.name, key: change.key, error });
    }
  }
}

/** The same object with metadata.managedFields left out; the given one stays as it is. */
function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _left, ...metadata } = object.metadata as KubeObject['metadata'] & {
    readonly managedFields?: unknown;
  };
  return { ...object, metadata };
}

function retryAfterMs(error: Error | null): number {
  return error instanceof KubeApiError ? (error.retryAfterMs ?? 0) : 0;
}

/** As a call, since the compiler does not know that a signal changes while we wait. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
