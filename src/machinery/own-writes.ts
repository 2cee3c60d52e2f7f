// A reflector that also knows what this process wrote: the answer of a write counts at once, and older news of the watch no more. Never writes itself.
import type { KubeObject } from '../api/kube-object.ts';
import { objectKey } from '../api/kube-object.ts';
import type { Reflector } from './reflector.ts';
import { isNewer } from './resource-version.ts';
import { createStore, type Change, type IndexFunctions } from './store.ts';

export interface OwnWrites<T> extends Pick<Reflector<T>, 'store' | 'subscribe' | 'whenSynced'> {
  /**
   * Takes what the server answered to a write or a GET. Ignored when something newer is known already, and for objects that the
   * watch has not told of: nobody would ever tell that they are gone.
   */
  take(object: KubeObject): void;
}

export interface OwnWritesOptions<S, T> {
  /** As of the reflector. */
  readonly project: (object: KubeObject) => S;
  /** What is kept of what the reflector keeps. Pure. */
  readonly derive: (projected: S) => T;
  readonly indexes?: IndexFunctions<T>;
}

/** The store and the changes of `reflector`, ahead of it by what was taken. */
export function withOwnWrites<S, T>(
  reflector: Reflector<S>,
  { project, derive, indexes }: OwnWritesOptions<S, T>,
): OwnWrites<T> {
  const store = createStore<T>(indexes);
  const handlers = new Set<(change: Change<T>) => void>();
  const tell = (change: Change<T> | null): void => {
    if (change === null) return;
    for (const handler of [...handlers]) handler(change);
  };
  /** Keys of which we know more than the watch has told. */
  const ahead = new Set<string>();
  const isOlder = (key: string, version: string): boolean => {
    const known = store.resourceVersionOf(key);
    return known !== null && known !== version && !isNewer(version, known);
  };
  reflector.subscribe(({ key, after }) => {
    const version = reflector.store.resourceVersionOf(key) ?? '';
    // Otherwise the reflector is followed wherever it goes: a server that was restored from a backup goes back.
    if (after !== null && ahead.has(key) && isOlder(key, version)) return;
    ahead.delete(key);
    tell(after === null ? store.remove(key) : store.put(key, derive(after), version));
  });
  return {
    store,
    whenSynced: (signal) => reflector.whenSynced(signal),
    subscribe: (handler) => {
      handlers.add(handler);
      for (const key of store.keys()) handler({ key, before: null, after: store.get(key) });
      return () => {
        handlers.delete(handler);
      };
    },
    take: (object) => {
      const key = objectKey(object.metadata);
      const version = object.metadata.resourceVersion ?? '';
      if (reflector.store.resourceVersionOf(key) === null || isOlder(key, version)) return;
      const change = store.put(key, derive(project(object)), version);
      if (change !== null) ahead.add(key);
      tell(change);
    },
  };
}
