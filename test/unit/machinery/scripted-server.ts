// A small API server in memory for one resource: LIST and WATCH with resourceVersions, a history that is forgotten, bookmarks; and everything that can go wrong with them, on demand.
import type { KubeObject, KubeResource } from '../../../src/api/kube-object.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import {
  type KubeApi,
  KubeApiError,
  type KubeList,
  KubeUnreachable,
  type ListOptions,
  type WatchEvent,
  type WatchOptions,
} from '../../../src/ports/kube-api.ts';

export const WIDGETS: KubeResource = {
  group: 'example.org',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: false,
};

/** What happens to one request: nothing bad, this error, no answer at all, or none and not even an ear for the abort. */
export type Fault = 'none' | KubeApiError | KubeUnreachable | 'hang' | 'deaf';

export interface Request {
  readonly atMs: number;
  readonly verb: 'list' | 'watch';
  readonly options: ListOptions | WatchOptions;
  /** "answered", "gone", "failed" */
  outcome: string;
}

interface Delivery {
  readonly event?: WatchEvent;
  readonly error?: Error;
  readonly end?: true;
}

export const BOOKMARK_MS = 60_000;

export function apiError(status: number, reason: string, retryAfterMs: number | null = null): KubeApiError {
  return new KubeApiError(`${status} ${reason}`, { status, reason, retryAfterMs });
}

/** One WATCH that the server serves. */
class OpenWatch implements AsyncIterable<WatchEvent> {
  readonly #clock: Clock;
  readonly #options: WatchOptions;
  readonly #pending: Delivery[] = [];
  #wake = (): void => undefined;
  #freeAtMs = 0;
  /** The connection is half open: nothing arrives any more. */
  stalled = false;
  /** Does not even hear the abort. */
  deaf = false;

  constructor(clock: Clock, options: WatchOptions) {
    this.#clock = clock;
    this.#options = options;
    options.signal.addEventListener('abort', () => {
      this.#wake();
    });
  }

  /** Arrives after `delayMs`, but never before what was sent earlier. */
  send(delivery: Delivery, delayMs = 0): void {
    if (this.stalled) return;
    const nowMs = this.#clock.monotonicMs();
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs + delayMs);
    const arrive = (): void => {
      if (this.stalled) return;
      this.#pending.push(delivery);
      this.#wake();
    };
    if (this.#freeAtMs <= nowMs) arrive();
    else this.#clock.after(this.#freeAtMs - nowMs, arrive);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent, void> {
    for (;;) {
      if (this.#options.signal.aborted && !this.deaf) throw this.#options.signal.reason as Error;
      const next = this.#pending.shift();
      if (next?.error !== undefined) throw next.error;
      if (next?.end === true) return;
      if (next?.event !== undefined) yield next.event;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** Verbs that a reflector has no business with reject. */
export class ScriptedServer implements KubeApi {
  readonly requests: Request[] = [];
  readonly #clock: Clock;
  readonly #watches = new Set<OpenWatch>();
  /** Every state that there was, oldest first. */
  #states: { version: number; objects: ReadonlyMap<string, KubeObject> }[] = [
    { version: 1000, objects: new Map() },
  ];
  #history: { version: number; event: WatchEvent }[] = [];
  /** A watch from before this is refused. */
  #oldest = 1000;
  /** Each request takes the first of them. */
  faults: Fault[] = [];
  /** So many watches end as soon as they are open. */
  quickCloses = 0;
  /** A LIST may answer with a state so many changes ago, as another server of the same cluster would. */
  lag = 0;
  /** Each event comes so much later. */
  delayMs = 0;
  /** Each event comes again: at once, or after so long. */
  duplicateAfterMs: number | null = null;
  /** Without: as etcd that tells no progress. */
  bookmarks = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get objects(): ReadonlyMap<string, KubeObject> {
    return this.#newest().objects;
  }

  get version(): string {
    return String(this.#newest().version);
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  count(verb: Request['verb'], outcome?: string): number {
    const ofVerb = this.requests.filter((request) => request.verb === verb);
    return ofVerb.filter((request) => outcome === undefined || request.outcome === outcome).length;
  }

  put(name: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const version = this.#newest().version + 1;
    const earlier = this.objects.get(name);
    const object: KubeObject = {
      apiVersion: 'example.org/v1',
      kind: 'Widget',
      ...fields,
      metadata: { name, uid: earlier?.metadata.uid ?? `uid-${version}`, resourceVersion: String(version) },
    };
    this.#change(version, new Map(this.objects).set(name, object), {
      type: earlier === undefined ? 'ADDED' : 'MODIFIED',
      object,
    });
  }

  remove(name: string): void {
    const earlier = this.objects.get(name);
    if (earlier === undefined) return;
    const version = this.#newest().version + 1;
    const objects = new Map(this.objects);
    objects.delete(name);
    const metadata = { ...earlier.metadata, resourceVersion: String(version) };
    this.#change(version, objects, { type: 'DELETED', object: { ...earlier, metadata } });
  }

  /** Something else in the cluster changes: versions go on, this resource has no event. */
  progress(): void {
    this.#states.push({ version: this.#newest().version + 1, objects: this.objects });
  }

  /** Forgets all events up to now. */
  compact(): void {
    this.#oldest = this.#newest().version;
    this.#history = [];
  }

  /** As etcd restored from a backup: the state and the version of then. */
  restore(version: number): void {
    this.#states = this.#states.filter((state) => state.version <= version);
    this.#history = this.#history.filter((entry) => entry.version <= version);
    this.#oldest = Math.min(this.#oldest, version);
    this.cut();
  }

  /** All connections break. */
  cut(): void {
    this.#endAll({ error: new KubeUnreachable('connection reset') });
  }

  /** The server closes all watches in good order, as it also does with clients that read too slowly. */
  close(): void {
    this.#endAll({ end: true });
  }

  /** All watches get an error event 410. */
  expire(): void {
    for (const request of this.requests.filter(({ outcome }) => outcome === 'open')) request.outcome = 'gone';
    this.#endAll({ error: apiError(410, 'Expired') });
  }

  /** All connections go silent without breaking. */
  stall(deaf = false): void {
    for (const watch of this.#watches) Object.assign(watch, { stalled: true, deaf });
    this.#watches.clear();
  }

  async list(_resource: KubeResource, options: ListOptions): Promise<KubeList> {
    const request = this.#note('list', options);
    await this.#meetFault(request, options.signal);
    const atLeast = Number(options.resourceVersion ?? this.#newest().version);
    if (atLeast > this.#newest().version) {
      request.outcome = 'failed';
      throw apiError(504, 'Timeout', 1_000);
    }
    const lagging = this.#states.at(-1 - this.lag) ?? this.#newest();
    const state = lagging.version >= atLeast ? lagging : this.#newest();
    return this.#page(state, options, request);
  }

  watch(_resource: KubeResource, options: WatchOptions): AsyncIterable<WatchEvent> {
    return this.#watch(options);
  }

  get = refuse;
  create = refuse;
  apply = refuse;
  mergePatch = refuse;
  update = refuse;
  delete = refuse;

  async *#watch(options: WatchOptions): AsyncGenerator<WatchEvent, void> {
    const request = this.#note('watch', options);
    await this.#meetFault(request, options.signal);
    const from = Number(options.resourceVersion);
    if (from < this.#oldest) {
      request.outcome = 'gone';
      throw apiError(410, 'Expired');
    }
    if (this.quickCloses > 0) {
      this.quickCloses -= 1;
      request.outcome = 'closed';
      return;
    }
    request.outcome = 'open';
    const watch = new OpenWatch(this.#clock, options);
    this.#watches.add(watch);
    for (const { version, event } of this.#history) if (version > from) this.#send(watch, event);
    const stops = [
      this.#clock.after(options.timeoutSeconds * 1000, () => {
        watch.send({ end: true });
      }),
      this.#startBookmarks(watch, from),
    ];
    try {
      yield* watch;
    } finally {
      for (const stop of stops) stop();
      this.#watches.delete(watch);
      if (request.outcome === 'open') request.outcome = 'closed';
    }
  }

  #page(
    state: { version: number; objects: ReadonlyMap<string, KubeObject> },
    options: ListOptions,
    request: Request,
  ): KubeList {
    const items = [...state.objects.values()];
    request.outcome = 'answered';
    const resourceVersion = String(state.version);
    // As kube-apiserver: from its cache it gives all, whatever the limit.
    if (options.limit === undefined || options.resourceVersion !== undefined) {
      return { items, resourceVersion, continueToken: null };
    }
    const start = Number(options.continueToken ?? 0);
    const end = start + options.limit;
    return {
      items: items.slice(start, end),
      resourceVersion,
      continueToken: end < items.length ? String(end) : null,
    };
  }

  #newest(): { version: number; objects: ReadonlyMap<string, KubeObject> } {
    const newest = this.#states.at(-1);
    if (newest === undefined) throw new Error('no state');
    return newest;
  }

  #change(version: number, objects: ReadonlyMap<string, KubeObject>, event: WatchEvent): void {
    this.#states.push({ version, objects });
    this.#history.push({ version, event });
    for (const watch of this.#watches) this.#send(watch, event);
  }

  #send(watch: OpenWatch, event: WatchEvent): void {
    watch.send({ event }, this.delayMs);
    if (this.duplicateAfterMs === null) return;
    this.#clock.after(this.duplicateAfterMs, () => {
      watch.send({ event });
    });
  }

  #startBookmarks(watch: OpenWatch, from: number): () => void {
    let cancel = (): void => undefined;
    const next = (): void => {
      cancel = this.#clock.after(BOOKMARK_MS, () => {
        // As storage/cacher of kube-apiserver 1.37: nothing newer than where the watch began, no bookmark.
        if (this.bookmarks && Number(this.version) > from)
          watch.send({ event: bookmark(this.version) }, this.delayMs);
        next();
      });
    };
    next();
    return () => {
      cancel();
    };
  }

  #endAll(delivery: Delivery): void {
    for (const watch of [...this.#watches]) watch.send(delivery);
    this.#watches.clear();
  }

  #note(verb: Request['verb'], options: ListOptions | WatchOptions): Request {
    const request = { atMs: this.#clock.monotonicMs(), verb, options, outcome: 'failed' };
    this.requests.push(request);
    return request;
  }

  async #meetFault(request: Request, signal: AbortSignal | undefined): Promise<void> {
    const fault = this.faults.shift();
    if (fault === undefined || fault === 'none') return;
    if (fault === 'hang' || fault === 'deaf') {
      await new Promise((_resolve, reject) => {
        if (fault === 'hang') {
          signal?.addEventListener('abort', () => {
            reject(signal.reason as Error);
          });
        }
      });
    } else {
      if (fault instanceof KubeApiError && fault.status === 410) request.outcome = 'gone';
      throw fault;
    }
  }
}

function bookmark(resourceVersion: string): WatchEvent {
  const object = { apiVersion: 'example.org/v1', kind: 'Widget', metadata: { name: '', resourceVersion } };
  return { type: 'BOOKMARK', object };
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('a reflector only lists and watches'));
}
