// What a write does to an object of the fake API server: metadata that the server keeps, status apart from the rest, generation, finalizers, owners of fields,
// admission. Everything happens at once or throws; faults, access and time-outs are elsewhere.
import { apiVersionOf, objectKey } from '../../../src/api/kube-object.ts';
import type { KubeObject, KubeResource, ObjectRef, UnnamedKubeObject } from '../../../src/api/kube-object.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import { KubeApiError } from '../../../src/ports/kube-api.ts';
import type { ApplyOptions, DeleteOptions, PatchOptions } from '../../../src/ports/kube-api.ts';
import type { FakeKind } from './fake-kind.ts';
import { ownersAfterUpdate, writeOwners } from './field-owners.ts';
import type { FieldOwner, Writer } from './field-owners.ts';
import { FOREGROUND, ORPHAN } from './garbage-collector.ts';
import { mergePatched } from './merge-patch.ts';
import type { ObjectStore } from './object-store.ts';
import { copyOf, frozen, isPlainObject, isSame, metadataOf } from './plain-json.ts';
import type { PlainObject } from './plain-json.ts';
import { applied } from './server-side-apply.ts';
import { refused } from './status-errors.ts';

export interface AdmissionReview {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly resource: KubeResource;
  readonly subresource: 'status' | null;
  readonly user: string;
  /** null: DELETE. */
  readonly object: KubeObject | null;
  /** null: CREATE. */
  readonly oldObject: KubeObject | null;
}

/** null: let it pass. A ValidatingAdmissionPolicy gives 422 (Invalid) or, with reason Forbidden, 403. */
export type AdmissionHook = (
  review: AdmissionReview,
) => { readonly status: 403 | 422; readonly message: string } | null;

/** Manager of writes whose caller names none: the server takes it from the user agent. */
export const DEFAULT_MANAGER = 'ghostlimit';

interface Pending {
  readonly kind: FakeKind;
  readonly user: string;
  readonly before: KubeObject | null;
  readonly after: PlainObject;
  readonly subresource: 'status' | null;
  /** Whose the fields are then; `after` is complete. */
  readonly owners: (after: PlainObject) => readonly FieldOwner[];
  readonly dryRun: boolean;
}

type PlainPending = Pick<Pending, 'kind' | 'user' | 'before' | 'after'> & { readonly writer: Writer };

/** What the server alone writes. */
const KEPT_METADATA = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'resourceVersion',
  'managedFields',
];

/** Source: k8s.io/apiserver pkg/storage/names, k8s.io/apimachinery pkg/util/rand. */
const MADE_NAME = { start: 58, letters: 'bcdfghjklmnpqrstvwxz2456789', count: 5 };

export class ObjectWrites {
  readonly hooks = new Set<AdmissionHook>();
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  #uids = 0;
  #names = 0;

  constructor(store: ObjectStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** With the name that the server makes for an object without one; the first ends in "bbbbb". */
  named(resource: KubeResource, object: KubeObject | UnnamedKubeObject): KubeObject {
    const { name = '', generateName = '' } = object.metadata;
    if (name !== '') return { ...object, metadata: { ...object.metadata, name } };
    if (generateName === '')
      throw refused.invalid(resource, '', 'metadata.name: Required value: name or generateName is required');
    const { start, letters, count } = MADE_NAME;
    const end = Array.from({ length: count }, (_, place) =>
      letters.charAt(Math.floor(this.#names / letters.length ** (count - 1 - place)) % letters.length),
    );
    this.#names += 1;
    return {
      ...object,
      metadata: { ...object.metadata, name: `${generateName.slice(0, start)}${end.join('')}` },
    };
  }

  create(kind: FakeKind, user: string, object: KubeObject): KubeObject {
    const after = copyOf(object);
    checkType(kind, after);
    if (this.#store.find(kind.resource, objectKey(object.metadata)) !== null)
      throw refused.alreadyExists(kind.resource, object.metadata.name);
    const writer: Writer = { manager: DEFAULT_MANAGER, operation: 'Update', subresource: null };
    return this.#commit(this.#plain({ kind, user, before: null, after, writer }));
  }

  update(kind: FakeKind, user: string, object: KubeObject): KubeObject {
    const after = copyOf(object);
    checkType(kind, after);
    const before = this.#existing(kind, object.metadata);
    if (object.metadata.resourceVersion === undefined && !kind.updatesUnconditionally)
      throw refused.invalid(
        kind.resource,
        object.metadata.name,
        'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
      );
    const writer: Writer = { manager: DEFAULT_MANAGER, operation: 'Update', subresource: null };
    return this.#commit(this.#plain({ kind, user, before, after, writer }));
  }

  mergePatch(
    kind: FakeKind,
    user: string,
    ref: ObjectRef,
    patch: { readonly body: Readonly<Record<string, unknown>>; readonly options: PatchOptions },
  ): KubeObject {
    const before = this.#existing(kind, ref);
    const after = mergePatched(copyOf(before), copyOf(patch.body)) as PlainObject;
    if (metadataOf(after)['name'] !== ref.name)
      throw refused.badRequest('the name of the object does not match the name on the URL');
    const subresource = patch.options.subresource ?? null;
    const writer: Writer = { manager: patch.options.fieldManager, operation: 'Update', subresource };
    return this.#commit(this.#plain({ kind, user, before, after, writer }));
  }

  apply(kind: FakeKind, user: string, object: KubeObject, options: ApplyOptions): KubeObject {
    const { fieldManager: manager, force } = options;
    const subresource = options.subresource ?? null;
    const body = copyOf(object);
    checkType(kind, body);
    if (metadataOf(body)['managedFields'] !== undefined)
      throw refused.badRequest('metadata.managedFields must be nil');
    const before =
      subresource === null
        ? this.#store.find(kind.resource, objectKey(object.metadata))
        : this.#existing(kind, object.metadata);
    const { name, uid } = object.metadata;
    if (before === null && uid !== undefined)
      throw refused.conflict(
        kind.resource,
        name,
        `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
      );
    const result = applied({
      kind,
      live: before === null ? {} : copyOf(before),
      applied: fieldsThrough(kind, body, subresource),
      writer: { manager, operation: 'Apply', subresource },
      force,
      time: this.#now(),
    });
    // A revision in the applied object is a precondition, as elsewhere.
    const { resourceVersion } = object.metadata;
    const metadata = {
      ...metadataOf(result.object),
      resourceVersion: resourceVersion ?? before?.metadata.resourceVersion,
    };
    return this.#commit({
      kind,
      user,
      before,
      after: copyOf({ ...result.object, metadata }),
      subresource,
      owners: () => result.owners,
      dryRun: options.dryRun === true,
    });
  }

  /** false: it was not there. */
  delete(kind: FakeKind, user: string, ref: ObjectRef, options: DeleteOptions): boolean {
    const before = this.#store.find(kind.resource, objectKey(ref));
    if (before === null) return false;
    const { uid = '', finalizers = [], deletionTimestamp } = before.metadata;
    if (options.uid !== undefined && options.uid !== uid)
      throw refused.conflict(
        kind.resource,
        ref.name,
        `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uid}`,
      );
    this.#admit({
      operation: 'DELETE',
      resource: kind.resource,
      subresource: null,
      user,
      object: null,
      oldObject: before,
    });
    const waiting = [...new Set([...finalizers, ...propagationFinalizers(options)])];
    if (waiting.length === 0) this.#store.remove(kind.resource, copyOf(before));
    else if (deletionTimestamp === undefined) this.#startDeletion(kind, before, waiting);
    return true;
  }

  /** Writes metadata as the garbage collector does: nobody is asked. */
  changeMetadata(kind: FakeKind, before: KubeObject, changes: PlainObject): void {
    const after = copyOf(before);
    after['metadata'] = tidyMetadata({ ...metadataOf(after), ...changes });
    this.#save(kind, after, before);
  }

  /** Puts an object there as it is, status and all; what the server keeps is filled in. */
  seed(kind: FakeKind, object: KubeObject): KubeObject {
    const before = this.#store.find(kind.resource, objectKey(object.metadata));
    const after = copyOf(object);
    const metadata = { ...this.#newMetadata(kind), ...copyOf(before?.metadata ?? {}), ...metadataOf(after) };
    after['metadata'] = tidyMetadata(metadata);
    kind.complete?.(after);
    return this.#store.put(kind.resource, after);
  }

  /** A write that is no apply, of `after` as a whole. */
  #plain({ kind, user, before, after, writer }: PlainPending): Pending {
    const time = this.#now();
    const old = before === null ? null : copyOf(before);
    const owners = (complete: PlainObject): readonly FieldOwner[] =>
      ownersAfterUpdate({ kind, before: old, after: complete, writer, time });
    return { kind, user, before, after, subresource: writer.subresource, owners, dryRun: false };
  }

  #commit(pending: Pending): KubeObject {
    const { kind, user, before, after, subresource, owners } = pending;
    if (before !== null) checkPreconditions(kind, before, after);
    const wanted =
      before === null ? this.#completeNew(kind, after) : completeOld(kind, before, after, subresource);
    writeOwners(wanted, owners(wanted));
    if (before !== null && isSame(wanted, before)) return before;
    if (before !== null) countGeneration(kind, before, wanted);
    const object = frozen(copyOf(wanted));
    const operation = before === null ? 'CREATE' : 'UPDATE';
    this.#admit({ operation, resource: kind.resource, subresource, user, object, oldObject: before });
    return pending.dryRun ? object : this.#save(kind, wanted, before);
  }

  #completeNew(kind: FakeKind, after: PlainObject): PlainObject {
    const wanted = copyOf(after);
    if (kind.hasStatus) Reflect.deleteProperty(wanted, 'status');
    wanted['metadata'] = tidyMetadata({ ...metadataOf(after), ...this.#newMetadata(kind) });
    kind.complete?.(wanted);
    return wanted;
  }

  #newMetadata(kind: FakeKind): PlainObject {
    this.#uids += 1;
    return {
      uid: `00000000-0000-4000-8000-${String(this.#uids).padStart(12, '0')}`,
      creationTimestamp: this.#now(),
      ...(kind.hasGeneration ? { generation: 1 } : {}),
    };
  }

  #startDeletion(kind: FakeKind, before: KubeObject, finalizers: readonly string[]): void {
    const { generation } = before.metadata;
    const after = copyOf(before);
    after['metadata'] = {
      ...metadataOf(after),
      finalizers,
      deletionTimestamp: this.#now(),
      deletionGracePeriodSeconds: 0,
      ...(generation === undefined ? {} : { generation: generation + 1 }),
    };
    this.#save(kind, after, before);
  }

  // The last finalizer of an object that is being deleted takes it along; that last change itself is never stored.
  #save(kind: FakeKind, after: PlainObject, before: KubeObject | null): KubeObject {
    const { deletionTimestamp, finalizers } = metadataOf(after);
    const isWaiting = Array.isArray(finalizers) && finalizers.length > 0;
    if (before === null || deletionTimestamp === undefined || isWaiting)
      return this.#store.put(kind.resource, after);
    this.#store.remove(kind.resource, copyOf(before));
    return frozen(copyOf(after));
  }

  #existing(kind: FakeKind, ref: ObjectRef): KubeObject {
    const object = this.#store.find(kind.resource, objectKey(ref));
    if (object === null) throw refused.notFound(kind.resource, ref.name);
    return object;
  }

  #admit(review: AdmissionReview): void {
    for (const hook of this.hooks) {
      const verdict = hook(review);
      if (verdict === null) continue;
      const reason = verdict.status === 403 ? 'Forbidden' : 'Invalid';
      throw new KubeApiError(verdict.message, { status: verdict.status, reason, retryAfterMs: null });
    }
  }

  /** Whole seconds, as the API writes times. */
  #now(): string {
    return new Date(this.#clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}

function checkType({ resource }: FakeKind, object: PlainObject): void {
  const wanted = `${apiVersionOf(resource)} ${resource.kind}`;
  const given = `${String(object['apiVersion'])} ${String(object['kind'])}`;
  if (given !== wanted)
    throw refused.badRequest(`the object is a ${given}, which does not match the expected ${wanted}`);
}

function checkPreconditions({ resource }: FakeKind, before: KubeObject, after: PlainObject): void {
  const { name, uid = '', resourceVersion, deletionTimestamp, finalizers = [] } = before.metadata;
  const wanted = metadataOf(after) as Partial<KubeObject['metadata']>;
  if (wanted.uid !== undefined && wanted.uid !== uid)
    throw refused.conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${uid}`,
    );
  if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== resourceVersion)
    throw refused.conflict(
      resource,
      name,
      'the object has been modified; please apply your changes to the latest version and try again',
    );
  const wantedFinalizers = wanted.finalizers ?? [];
  if (
    deletionTimestamp !== undefined &&
    wantedFinalizers.some((finalizer) => !finalizers.includes(finalizer))
  )
    throw refused.invalid(
      resource,
      name,
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted',
    );
}

function completeOld(
  kind: FakeKind,
  before: KubeObject,
  after: PlainObject,
  subresource: 'status' | null,
): PlainObject {
  const old = copyOf(before);
  const throughStatus = subresource === 'status';
  const wanted = throughStatus ? { ...old } : { ...after };
  if (kind.hasStatus) replaceField(wanted, 'status', throughStatus ? after['status'] : old['status']);
  const kept = Object.fromEntries(
    KEPT_METADATA.flatMap((name) => (name in metadataOf(old) ? [[name, metadataOf(old)[name]]] : [])),
  );
  const metadata = throughStatus ? metadataOf(old) : metadataOf(after);
  const free = Object.entries(metadata).filter(([name]) => !KEPT_METADATA.includes(name));
  wanted['metadata'] = tidyMetadata({ ...Object.fromEntries(free), ...kept });
  kind.complete?.(wanted);
  return wanted;
}

function replaceField(object: PlainObject, name: string, value: unknown): void {
  if (value === undefined) Reflect.deleteProperty(object, name);
  else object[name] = value;
}

/** The fields that count when applied through the main resource, or through its status. */
function fieldsThrough(kind: FakeKind, body: PlainObject, subresource: 'status' | null): PlainObject {
  const { status, ...rest } = body;
  if (subresource === 'status') {
    const { name, namespace } = metadataOf(body);
    const { apiVersion, kind: type } = body;
    return copyOf({ apiVersion, kind: type, metadata: { name, namespace }, status });
  }
  return kind.hasStatus ? rest : body;
}

function propagationFinalizers({ propagationPolicy }: DeleteOptions): readonly string[] {
  if (propagationPolicy === 'Foreground') return [FOREGROUND];
  return propagationPolicy === 'Orphan' ? [ORPHAN] : [];
}

/** Empty maps and lists of metadata are not written out. */
function tidyMetadata(metadata: PlainObject): PlainObject {
  return Object.fromEntries(
    Object.entries(metadata).filter(([, value]) => {
      if (value === undefined || value === null) return false;
      if (Array.isArray(value)) return value.length > 0;
      return !isPlainObject(value) || Object.keys(value).length > 0;
    }),
  );
}

function countGeneration(kind: FakeKind, before: KubeObject, wanted: PlainObject): void {
  const counted = (object: PlainObject): PlainObject =>
    Object.fromEntries(
      Object.entries(object).filter(
        ([name]) => name !== 'metadata' && !(kind.hasStatus && name === 'status'),
      ),
    );
  if (!kind.hasGeneration || isSame(counted(copyOf(before)), counted(wanted))) return;
  wanted['metadata'] = { ...metadataOf(wanted), generation: (before.metadata.generation ?? 0) + 1 };
}
