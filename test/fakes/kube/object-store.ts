// The fake's etcd: objects by kind and key, one revision for all, and a bounded history that watches and old lists are read from.
import { objectKey } from '../../../src/api/kube-object.ts';
import type { KubeObject, KubeResource } from '../../../src/api/kube-object.ts';
import { frozen, metadataOf } from './plain-json.ts';
import type { PlainObject } from './plain-json.ts';
import { qualified } from './status-errors.ts';

export interface Change {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** As it is after the change; for DELETED as it was last. */
  readonly object: KubeObject;
  readonly previous: KubeObject | null;
}

interface Collection {
  readonly objects: Map<string, KubeObject>;
  history: Change[];
  /** Changes up to and with this revision are forgotten. */
  forgotten: number;
}

export class ObjectStore {
  #revision: number;
  /** Nothing is known of what came before. */
  #base: number;
  readonly #historySize: number;
  readonly #collections = new Map<string, Collection>();
  readonly #listeners = new Set<(resource: KubeResource, change: Change) => void>();

  /** `historySize`: changes kept for each kind. */
  constructor(firstRevision: number, historySize: number) {
    this.#revision = firstRevision;
    this.#base = firstRevision;
    this.#historySize = historySize;
  }

  get revision(): number {
    return this.#revision;
  }

  find(resource: KubeResource, key: string): KubeObject | null {
    return this.#collection(resource).objects.get(key) ?? null;
  }

  /** Sorted by key, as etcd does. */
  all(resource: KubeResource): readonly KubeObject[] {
    return sorted(this.#collection(resource).objects);
  }

  /** Writes one object at a new revision, which stands in its metadata then. */
  put(resource: KubeResource, object: PlainObject): KubeObject {
    const { objects } = this.#collection(resource);
    const stored = this.#atNewRevision(object);
    const key = objectKey(stored.metadata);
    const previous = objects.get(key) ?? null;
    objects.set(key, stored);
    this.#record(resource, { type: previous === null ? 'ADDED' : 'MODIFIED', object: stored, previous });
    return stored;
  }

  /** `last` is what watches see of it, at a revision of its own. */
  remove(resource: KubeResource, last: PlainObject): void {
    const { objects } = this.#collection(resource);
    const gone = this.#atNewRevision(last);
    const key = objectKey(gone.metadata);
    const previous = objects.get(key) ?? null;
    objects.delete(key);
    this.#record(resource, { type: 'DELETED', object: gone, previous });
  }

  /** The state at an earlier revision; null: forgotten. */
  at(resource: KubeResource, revision: number): readonly KubeObject[] | null {
    const { objects } = this.#collection(resource);
    const later = this.since(resource, revision);
    if (later === null) return null;
    const then = new Map(objects);
    for (const { object, previous } of later.toReversed()) {
      const key = objectKey(object.metadata);
      if (previous === null) then.delete(key);
      else then.set(key, previous);
    }
    return sorted(then);
  }

  /** What happened after a revision; null: not all of it is known any longer. */
  since(resource: KubeResource, revision: number): readonly Change[] | null {
    const { history, forgotten } = this.#collection(resource);
    return revision < forgotten ? null : history.filter((change) => change.revision > revision);
  }

  /** The revision just before the last `changes` changes of a kind, as far as they are remembered. */
  revisionBehind(resource: KubeResource, changes: number): number {
    const { history, forgotten } = this.#collection(resource);
    if (changes <= 0) return this.#revision;
    const before = history.at(-changes - 1)?.revision ?? forgotten;
    return history.length === 0 ? this.#revision : before;
  }

  /** Forgets all history, as a compaction does: whoever watches from an earlier revision gets 410. */
  compact(): void {
    this.#base = this.#revision;
    for (const collection of this.#collections.values()) {
      collection.history = [];
      collection.forgotten = this.#revision;
    }
  }

  /** Calls `listener` for each change, in order. Returns a function that ends that. */
  onChange(listener: (resource: KubeResource, change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #atNewRevision(object: PlainObject): KubeObject {
    this.#revision += 1;
    const metadata = { ...metadataOf(object), resourceVersion: String(this.#revision) };
    return frozen({ ...object, metadata });
  }

  #record(resource: KubeResource, change: Omit<Change, 'revision'>): void {
    const collection = this.#collection(resource);
    collection.history.push({ ...change, revision: this.#revision });
    const dropped = collection.history.splice(0, collection.history.length - this.#historySize);
    collection.forgotten = dropped.at(-1)?.revision ?? collection.forgotten;
    const recorded = collection.history.at(-1) ?? { ...change, revision: this.#revision };
    for (const listener of [...this.#listeners]) listener(resource, recorded);
  }

  #collection(resource: KubeResource): Collection {
    const name = qualified(resource);
    let collection = this.#collections.get(name);
    if (collection === undefined) {
      collection = { objects: new Map(), history: [], forgotten: this.#base };
      this.#collections.set(name, collection);
    }
    return collection;
  }
}

function sorted(objects: ReadonlyMap<string, KubeObject>): readonly KubeObject[] {
  return [...objects].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, object]) => object);
}
