// A Kubernetes API server in memory, behind the port: what the real one does with objects, watches, access and admission, and everything that goes wrong with it on demand.
// Runs no controllers but the garbage collector.
import { objectKey } from '../../src/api/kube-object.ts';
import type { KubeObject, KubeResource, ObjectRef, UnnamedKubeObject } from '../../src/api/kube-object.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { KubeApiError, KubeUnreachable } from '../../src/ports/kube-api.ts';
import type {
  ApplyOptions,
  DeleteOptions,
  KubeApi,
  KubeList,
  ListOptions,
  PatchOptions,
  WatchEvent,
  WatchOptions,
} from '../../src/ports/kube-api.ts';
import { seededRandom } from '../histories/random.ts';
import { authorize } from './kube/access-rules.ts';
import type { AccessGrant, AccessVerb } from './kube/access-rules.ts';
import type { FakeKind } from './kube/fake-kind.ts';
import { FAKE_KINDS } from './kube/fake-kinds.ts';
import { FakeWatch } from './kube/fake-watch.ts';
import { FaultSchedule } from './kube/faults.ts';
import type { Fault, KubeVerb } from './kube/faults.ts';
import { collectOnce } from './kube/garbage-collector.ts';
import { ObjectStore } from './kube/object-store.ts';
import { ObjectWrites } from './kube/object-writes.ts';
import type { AdmissionHook } from './kube/object-writes.ts';
import { copyOf } from './kube/plain-json.ts';
import { fieldSelector, labelSelector, selectedName } from './kube/selectors.ts';
import { qualified, refused } from './kube/status-errors.ts';

export interface FakeKubeOptions {
  readonly clock: Clock;
  /** Beside those of the operator; one of the same resource replaces it. */
  readonly kinds?: readonly FakeKind[];
  /** Of the faults by chance. */
  readonly seed?: number;
  /** Changes remembered for each kind; older ones are 410 for a watch. */
  readonly historySize?: number;
  readonly bookmarkMs?: number;
  /** Events that may wait in a watch before the server ends it. */
  readonly watchBuffer?: number;
  /** Default Auto: right after each change, as a controller manager that is never late. */
  readonly garbage?: 'Auto' | 'Manual';
}

export interface KubeCall {
  readonly user: string;
  readonly verb: KubeVerb;
  /** Plural. */
  readonly resource: string;
  readonly subresource: 'status' | null;
  /** "namespace/name" or "name"; null: a collection. */
  readonly key: string | null;
  readonly atMs: number;
  /** A number: the status that it was refused with. */
  outcome: 'Pending' | 'Ok' | 'Unreachable' | 'Aborted' | number;
}

/** Which watches: absent parts mean all. */
export interface WatchMatch {
  readonly resource?: string;
  readonly user?: string;
}

interface Asked {
  readonly verb: KubeVerb;
  readonly resource: KubeResource;
  readonly subresource?: 'status' | undefined;
  readonly namespace?: string | undefined;
  /** Of an object. */
  readonly name?: string;
  /** The one name that a selector narrows a collection to. */
  readonly selectedName?: string | null;
  readonly signal?: AbortSignal | undefined;
}

interface Caller {
  readonly user: string;
  /** null: may do everything. */
  readonly grants: readonly AccessGrant[] | null;
  /** The test's own hand: no faults, no record, and there even when the server is down. */
  readonly isDirect?: true;
}

const ACCESS_VERBS: Readonly<Record<KubeVerb, AccessVerb>> = {
  get: 'get',
  list: 'list',
  watch: 'watch',
  create: 'create',
  apply: 'patch',
  patch: 'patch',
  update: 'update',
  delete: 'delete',
};

const FIRST_REVISION = 1000;

/** Itself the API as the user "admin", who may do everything. Nothing happens in it but by a call or by its clock. */
export class FakeKube implements KubeApi {
  readonly faults: FaultSchedule;
  /** All calls, watches too, in order; those of `direct` are not among them. */
  readonly calls: KubeCall[] = [];
  /** Lists with resourceVersion "0" show the state so many changes of that kind ago. */
  cacheLag = 0;
  dropsBookmarks = false;
  /** For what the test itself does or looks at. */
  readonly direct: KubeApi;
  readonly #options: Required<Omit<FakeKubeOptions, 'kinds' | 'seed'>>;
  readonly #kinds = new Map<string, FakeKind>();
  readonly #store: ObjectStore;
  readonly #writes: ObjectWrites;
  readonly #watches = new Set<FakeWatch>();
  readonly #admin: KubeApi;
  #isDown = false;

  constructor(options: FakeKubeOptions) {
    const { historySize = 1000, bookmarkMs = 60_000, watchBuffer = 10_000, garbage = 'Auto' } = options;
    this.#options = { clock: options.clock, historySize, bookmarkMs, watchBuffer, garbage };
    for (const kind of [...FAKE_KINDS, ...(options.kinds ?? [])]) this.addKind(kind);
    this.faults = new FaultSchedule(seededRandom(options.seed ?? 1));
    this.#store = new ObjectStore(FIRST_REVISION, historySize);
    this.#writes = new ObjectWrites(this.#store, options.clock);
    this.#store.onChange((resource, change) => {
      for (const watch of [...this.#watches])
        if (qualified(watch.resource) === qualified(resource)) watch.show(change);
      if (garbage === 'Auto')
        queueMicrotask(() => {
          this.collectGarbage();
        });
    });
    this.#admin = this.#apiOf({ user: 'admin', grants: null });
    this.direct = this.#apiOf({ user: 'direct', grants: null, isDirect: true });
  }

  /** The API as a user who may do what the rules say, and nothing else: the rest is 403. */
  asUser(user: string, grants: readonly AccessGrant[]): KubeApi {
    return this.#apiOf({ user, grants });
  }

  addKind(kind: FakeKind): void {
    this.#kinds.set(qualified(kind.resource), kind);
  }

  /** Asked before each write, as admission is. Returns a function that ends that. */
  admit(hook: AdmissionHook): () => void {
    this.#writes.hooks.add(hook);
    return () => this.#writes.hooks.delete(hook);
  }

  /** Puts an object there as it is, with its status; admission and owners of fields are left out. */
  seed(resource: KubeResource, object: KubeObject): KubeObject {
    return this.#writes.seed(this.#kind(resource), object);
  }

  find(resource: KubeResource, ref: ObjectRef): KubeObject | null {
    return this.#store.find(resource, objectKey(ref));
  }

  all(resource: KubeResource): readonly KubeObject[] {
    return this.#store.all(resource);
  }

  /** Of the newest change: two equal ones mean that nothing changed in between. */
  get revision(): number {
    return this.#store.revision;
  }

  callsOf(match: {
    readonly user?: string;
    readonly verb?: KubeVerb;
    readonly resource?: string;
  }): KubeCall[] {
    return this.calls.filter(
      ({ user, verb, resource }) =>
        (match.user ?? user) === user &&
        (match.verb ?? verb) === verb &&
        (match.resource ?? resource) === resource,
    );
  }

  /** No answer to anybody, and all watches break. */
  goDown(): void {
    this.#isDown = true;
    this.cutWatches();
  }

  comeUp(): void {
    this.#isDown = false;
  }

  /** How many watches are open. */
  watchCount(match: WatchMatch = {}): number {
    return this.#matching(match).length;
  }

  /** The connection breaks. */
  cutWatches(match: WatchMatch = {}): void {
    for (const watch of this.#matching(match)) watch.end(new KubeUnreachable('the watch was cut'));
  }

  /** The server ends them without a word, as it does with a client that reads too slowly: events may be missing. */
  endWatches(match: WatchMatch = {}): void {
    for (const watch of this.#matching(match)) watch.end();
  }

  sendBookmarks(match: WatchMatch = {}): void {
    if (this.dropsBookmarks) return;
    for (const watch of this.#matching(match)) watch.bookmark(this.#store.revision);
  }

  /** Whoever watches or pages from an earlier revision gets 410; open watches go on. */
  forgetHistory(): void {
    this.#store.compact();
  }

  /** Until there is none left. */
  collectGarbage(): void {
    const kinds = new Map([...this.#kinds.values()].map((kind) => [kind.resource.kind, kind]));
    const kindOf = (object: KubeObject): FakeKind => {
      const kind = kinds.get(object.kind);
      if (kind === undefined) throw new Error(`no kind ${object.kind}`);
      return kind;
    };
    const world = {
      all: () => [...this.#kinds.values()].flatMap(({ resource }) => this.#store.all(resource)),
      delete: (object: KubeObject) => {
        const options = { propagationPolicy: 'Background' } as const;
        this.#writes.delete(kindOf(object), 'garbage-collector', object.metadata, options);
      },
      change: (object: KubeObject, metadata: object) => {
        this.#writes.changeMetadata(kindOf(object), object, copyOf(metadata));
      },
    };
    while (collectOnce(world));
  }

  get(resource: KubeResource, ref: ObjectRef, signal?: AbortSignal): Promise<KubeObject | null> {
    return this.#admin.get(resource, ref, signal);
  }
  list(resource: KubeResource, options: ListOptions): Promise<KubeList> {
    return this.#admin.list(resource, options);
  }
  watch(resource: KubeResource, options: WatchOptions): AsyncIterable<WatchEvent> {
    return this.#admin.watch(resource, options);
  }
  create(
    resource: KubeResource,
    object: KubeObject | UnnamedKubeObject,
    signal?: AbortSignal,
  ): Promise<KubeObject> {
    return this.#admin.create(resource, object, signal);
  }
  apply(resource: KubeResource, object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    return this.#admin.apply(resource, object, options);
  }
  mergePatch(
    resource: KubeResource,
    ref: ObjectRef,
    patch: Readonly<Record<string, unknown>>,
    options: PatchOptions,
  ): Promise<KubeObject> {
    return this.#admin.mergePatch(resource, ref, patch, options);
  }
  update(resource: KubeResource, object: KubeObject, signal?: AbortSignal): Promise<KubeObject> {
    return this.#admin.update(resource, object, signal);
  }
  delete(resource: KubeResource, ref: ObjectRef, options?: DeleteOptions): Promise<boolean> {
    return this.#admin.delete(resource, ref, options);
  }

  #apiOf(caller: Caller): KubeApi {
    const { user } = caller;
    const kindOf = this.#kind.bind(this);
    return {
      get: (resource, ref, signal) =>
        this.#call(caller, { verb: 'get', resource, ...ref, signal }, () =>
          this.#store.find(resource, objectKey(ref)),
        ),
      list: async (resource, options) => {
        const asked: Asked = {
          verb: 'list',
          resource,
          namespace: options.namespace,
          selectedName: selectedName(options.fieldSelector),
          signal: options.signal,
        };
        return this.#call(caller, asked, () => this.#list(kindOf(resource), options));
      },
      watch: (resource, options) => this.#watch(caller, resource, options),
      create: (resource, object, signal) => {
        const { namespace } = object.metadata;
        // As in RBAC, a name does not count for creation.
        return this.#call(caller, { verb: 'create', resource, namespace, signal }, () => {
          const named = this.#writes.named(resource, object);
          checkRef(resource, named.metadata);
          return this.#writes.create(kindOf(resource), user, named);
        });
      },
      apply: (resource, object, options) => {
        const { subresource, signal } = options;
        const asked: Asked = { verb: 'apply', resource, ...refOf(object), subresource, signal };
        return this.#call(caller, asked, () => {
          if (this.#store.find(resource, objectKey(object.metadata)) === null && subresource === undefined)
            this.#authorize(caller, { ...asked, verb: 'create' });
          return this.#writes.apply(kindOf(resource), user, object, options);
        });
      },
      mergePatch: (resource, ref, patch, options) => {
        const { subresource, signal } = options;
        return this.#call(caller, { verb: 'patch', resource, ...ref, subresource, signal }, () =>
          this.#writes.mergePatch(kindOf(resource), user, ref, { body: patch, options }),
        );
      },
      update: (resource, object, signal) =>
        this.#call(caller, { verb: 'update', resource, ...refOf(object), signal }, () =>
          this.#writes.update(kindOf(resource), user, object),
        ),
      delete: (resource, ref, options = {}) =>
        this.#call(caller, { verb: 'delete', resource, ...ref, signal: options.signal }, () =>
          this.#writes.delete(kindOf(resource), user, ref, options),
        ),
    };
  }

  async #call<T>(caller: Caller, asked: Asked, act: () => T): Promise<T> {
    asked.signal?.throwIfAborted();
    if (caller.isDirect === true) return act();
    const call = this.#record(caller, asked);
    try {
      const fault = await this.#arrive(call, asked.signal);
      this.#authorize(caller, asked);
      const answer = act();
      // The answer takes its time too: a caller who gives up meanwhile does not know what became of it.
      await Promise.resolve();
      asked.signal?.throwIfAborted();
      if (fault !== null) throw faultError(fault);
      call.outcome = 'Ok';
      return answer;
    } catch (error) {
      call.outcome = outcomeOf(error);
      throw error;
    }
  }

  #record({ user }: Caller, { verb, resource, subresource, namespace, name }: Asked): KubeCall {
    const ref = namespace === undefined ? {} : { namespace };
    const key = name === undefined ? null : objectKey({ ...ref, name });
    const call: KubeCall = {
      user,
      verb,
      resource: resource.plural,
      subresource: subresource ?? null,
      key,
      atMs: this.#options.clock.now(),
      outcome: 'Pending',
    };
    this.calls.push(call);
    return call;
  }

  /** Throws what goes wrong before the effect; gives the fault of its answer. */
  async #arrive(call: KubeCall, signal: AbortSignal | undefined): Promise<Fault | null> {
    await Promise.resolve();
    signal?.throwIfAborted();
    const fault = this.faults.take(call);
    if (fault?.kind === 'delay') await this.#delay(fault.ms, signal);
    if (this.#isDown) throw new KubeUnreachable('the API server is down');
    if (fault === null || fault.kind === 'delay') return null;
    if (fault.moment === 'after') return fault;
    throw faultError(fault);
  }

  #delay(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        cancel();
        reject(signal?.reason as Error);
      };
      const cancel = this.#options.clock.after(ms, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #authorize({ user, grants }: Caller, asked: Asked): void {
    const { resource, subresource = null, namespace = null } = asked;
    if (asked.name !== undefined)
      checkRef(resource, { name: asked.name, ...(namespace === null ? {} : { namespace }) });
    this.#kind(resource);
    if (grants === null) return;
    const name = asked.name ?? asked.selectedName ?? null;
    authorize(grants, { user, verb: ACCESS_VERBS[asked.verb], resource, subresource, namespace, name });
  }

  #list(kind: FakeKind, options: ListOptions): KubeList {
    const { resource } = kind;
    const page = readToken(options.continueToken);
    const revision = page?.revision ?? this.#listRevision(resource, options.resourceVersion);
    const state = this.#store.at(resource, revision);
    if (state === null)
      throw refused.expired(
        'The provided continue parameter is too old to display a consistent list result.',
      );
    const selects = this.#selection(kind, options);
    const all = state.filter((object) => selects(object) && objectKey(object.metadata) > (page?.after ?? ''));
    const items = all.slice(0, pageSize(options));
    const last = items.at(-1);
    const isAll = last === undefined || items.length === all.length;
    const continueToken = isAll ? null : writeToken({ revision, after: objectKey(last.metadata) });
    return { items, resourceVersion: String(revision), continueToken };
  }

  #listRevision(resource: KubeResource, asked: string | undefined): number {
    if (asked === '0') return this.#store.revisionBehind(resource, this.cacheLag);
    if (Number(asked ?? '0') > this.#store.revision) throw refused.tooLargeRevision(asked ?? '');
    return this.#store.revision;
  }

  #selection(kind: FakeKind, selection: ListOptions | WatchOptions): (object: KubeObject) => boolean {
    const { namespace } = selection;
    if (namespace !== undefined && !kind.resource.namespaced)
      throw refused.badRequest(`${kind.resource.plural} have no namespace`);
    const labels = labelSelector(selection.labelSelector);
    const fields = fieldSelector(selection.fieldSelector, kind.selectableFields);
    return (object) =>
      (namespace ?? object.metadata.namespace) === object.metadata.namespace &&
      labels({ ...object }) &&
      fields({ ...object });
  }

  async *#watch(
    caller: Caller,
    resource: KubeResource,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent, void, undefined> {
    const { namespace, fieldSelector: fields, signal } = options;
    const asked: Asked = { verb: 'watch', resource, namespace, selectedName: selectedName(fields), signal };
    const watch = await this.#call(caller, asked, () =>
      this.#openWatch(caller, this.#kind(resource), options),
    );
    const stop = this.#timers(watch, options.timeoutSeconds);
    const onAbort = (): void => {
      watch.end(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const event of watch.events()) {
        signal.throwIfAborted();
        yield event;
      }
      signal.throwIfAborted();
    } finally {
      signal.removeEventListener('abort', onAbort);
      stop();
      this.#watches.delete(watch);
    }
  }

  #openWatch({ user }: Caller, kind: FakeKind, options: WatchOptions): FakeWatch {
    const { resource } = kind;
    const { resourceVersion } = options;
    const selects = this.#selection(kind, options);
    const watch = new FakeWatch({ resource, user, selects, bufferSize: this.#options.watchBuffer });
    if (resourceVersion === '0' || resourceVersion === '') {
      for (const object of this.#store.all(resource)) watch.showExisting(object);
    } else {
      if (Number(resourceVersion) > this.#store.revision) throw refused.tooLargeRevision(resourceVersion);
      const missed = this.#store.since(resource, Number(resourceVersion));
      if (missed === null)
        throw refused.expired(`too old resource version: ${resourceVersion} (${this.#store.revision})`);
      for (const change of missed) watch.show(change);
    }
    this.#watches.add(watch);
    return watch;
  }

  /** Bookmarks, and the end after `timeoutSeconds`. */
  #timers(watch: FakeWatch, timeoutSeconds: number): () => void {
    const { clock, bookmarkMs } = this.#options;
    const repeat = (): void => {
      if (!this.dropsBookmarks) watch.bookmark(this.#store.revision);
      cancelMark = clock.after(bookmarkMs, repeat);
    };
    let cancelMark = clock.after(bookmarkMs, repeat);
    const cancelEnd = clock.after(timeoutSeconds * 1000, () => {
      watch.end();
    });
    return () => {
      cancelMark();
      cancelEnd();
    };
  }

  #matching(match: WatchMatch): FakeWatch[] {
    return [...this.#watches].filter(
      ({ resource, user }) =>
        (match.resource ?? resource.plural) === resource.plural && (match.user ?? user) === user,
    );
  }

  #kind(resource: KubeResource): FakeKind {
    const kind = this.#kinds.get(qualified(resource));
    if (kind === undefined) throw refused.unknownKind(resource);
    return kind;
  }
}

function refOf({ metadata: { namespace, name } }: KubeObject): ObjectRef {
  return namespace === undefined ? { name } : { namespace, name };
}

function checkRef(resource: KubeResource, { namespace, name }: ObjectRef): void {
  if (resource.namespaced !== (namespace !== undefined))
    throw refused.badRequest(
      resource.namespaced
        ? `an object of ${resource.plural} needs a namespace`
        : `${resource.plural} have no namespace`,
    );
  for (const part of [name, namespace ?? 'none'])
    if (['', '.', '..'].includes(part) || /[/%]/.test(part))
      throw refused.badRequest(`${JSON.stringify(part)} can be no name`);
}

function faultError(fault: Fault): Error {
  if (fault.kind === 'status') return refused.status(fault.status, fault.retryAfterMs ?? null);
  return new KubeUnreachable('the connection to the API server broke');
}

function outcomeOf(error: unknown): KubeCall['outcome'] {
  if (error instanceof KubeApiError) return error.status;
  return error instanceof KubeUnreachable ? 'Unreachable' : 'Aborted';
}

/** 0 is no limit, and the server's cache gives everything at once. */
function pageSize({ resourceVersion, continueToken, limit = 0 }: ListOptions): number {
  const isFromCache = resourceVersion === '0' && continueToken === undefined;
  return limit === 0 || isFromCache ? Number.POSITIVE_INFINITY : limit;
}

interface PageToken {
  readonly revision: number;
  readonly after: string;
}

function writeToken(token: PageToken): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function readToken(text: string | undefined): PageToken | null {
  return text === undefined ? null : (JSON.parse(Buffer.from(text, 'base64url').toString()) as PageToken);
}
