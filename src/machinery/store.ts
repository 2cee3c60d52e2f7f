// Values by key with indexes: what a reflector fills and everybody else reads. Never talks to a server; readers get frozen values, so nobody edits what others see.

export interface Change<T> {
  readonly key: string;
  /** null: it is new. */
  readonly before: T | null;
  /** null: it is gone. */
  readonly after: T | null;
}

/** By index name: the values under which an object is found; may be none. Pure. */
export type IndexFunctions<T> = Readonly<Record<string, (value: T) => readonly string[]>>;

export interface StoreView<T> {
  readonly size: number;
  get(key: string): T | null;
  keys(): readonly string[];
  values(): readonly T[];
  /** Keys whose index function `index` gives `value`; throws for an index that nobody defined. */
  keysBy(index: string, value: string): readonly string[];
  /** The same, as values. */
  by(index: string, value: string): readonly T[];
  /** metadata.resourceVersion as last seen; null: no such object. Also where T does not keep it. */
  resourceVersionOf(key: string): string | null;
}

export interface ObjectStore<T> extends StoreView<T> {
  /** null: this resourceVersion was already here. Freezes `value`. Throws what an index function throws, and then nothing has changed. */
  put(key: string, value: T, resourceVersion: string): Change<T> | null;
  /** null: it was not here. */
  remove(key: string): Change<T> | null;
}

export function createStore<T>(indexFunctions: IndexFunctions<T> = {}): ObjectStore<T> {
  return new IndexedStore(indexFunctions);
}

interface Entry<T> {
  readonly value: T;
  readonly resourceVersion: string;
  /** By index name. */
  readonly indexed: Readonly<Record<string, readonly string[]>>;
}

class IndexedStore<T> implements ObjectStore<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #functions: IndexFunctions<T>;
  /** Index name → value → keys. */
  readonly #indexes = new Map<string, Map<string, Set<string>>>();

  constructor(functions: IndexFunctions<T>) {
    this.#functions = functions;
    for (const name of Object.keys(functions)) this.#indexes.set(name, new Map());
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | null {
    return this.#entries.get(key)?.value ?? null;
  }

  keys(): readonly string[] {
    return [...this.#entries.keys()];
  }

  values(): readonly T[] {
    return Array.from(this.#entries.values(), ({ value }) => value);
  }

  keysBy(index: string, value: string): readonly string[] {
    const keysByValue = this.#indexes.get(index);
    if (keysByValue === undefined) throw new Error(`no index ${index}`);
    return [...(keysByValue.get(value) ?? [])];
  }

  by(index: string, value: string): readonly T[] {
    return this.keysBy(index, value)
      .map((key) => this.#entries.get(key))
      .filter((entry) => entry !== undefined)
      .map((entry) => entry.value);
  }

  resourceVersionOf(key: string): string | null {
    return this.#entries.get(key)?.resourceVersion ?? null;
  }

  put(key: string, value: T, resourceVersion: string): Change<T> | null {
    const earlier = this.#entries.get(key);
    if (earlier?.resourceVersion === resourceVersion) return null;
    const indexed = Object.fromEntries(
      Object.entries(this.#functions).map(([name, valuesOf]) => [name, valuesOf(value)]),
    );
    this.#unindex(key, earlier);
    this.#entries.set(key, { value: deepFrozen(value), resourceVersion, indexed });
    this.#index(key, indexed);
    return { key, before: earlier?.value ?? null, after: value };
  }

  remove(key: string): Change<T> | null {
    const earlier = this.#entries.get(key);
    if (earlier === undefined) return null;
    this.#unindex(key, earlier);
    this.#entries.delete(key);
    return { key, before: earlier.value, after: null };
  }

  #index(key: string, indexed: Entry<T>['indexed']): void {
    for (const [name, keysByValue] of this.#indexes) {
      for (const value of indexed[name] ?? []) {
        const keys = keysByValue.get(value) ?? new Set();
        keysByValue.set(value, keys.add(key));
      }
    }
  }

  #unindex(key: string, entry: Entry<T> | undefined): void {
    if (entry === undefined) return;
    for (const [name, keysByValue] of this.#indexes) {
      for (const value of entry.indexed[name] ?? []) {
        const keys = keysByValue.get(value);
        keys?.delete(key);
        // Or values that nobody has any more (names of deleted pods) would stay for good.
        if (keys?.size === 0) keysByValue.delete(value);
      }
    }
  }
}

/** The same value; it and all plain objects and lists in it can no longer be changed. */
function deepFrozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFrozen(inner);
  return value;
}
