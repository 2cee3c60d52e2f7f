// The pods of the node for those who are made before the cache of them is. Keeps nothing itself.
import type { PodView } from '../../api/core-views.ts';
import type { Reflector } from '../../machinery/reflector.ts';
import { RuntimeUnavailable } from '../../ports/container-runtime.ts';

type PodCache = Pick<Reflector<PodView>, 'status' | 'store' | 'subscribe'>;

export interface LatePods {
  /** Throws RuntimeUnavailable before they were read once. */
  pods(): readonly PodView[];
  watch(onChange: () => void, signal: AbortSignal): void;
  /** From now on `cache` has them. */
  connect(cache: PodCache): void;
}

export function createLatePods(): LatePods {
  let connected: PodCache | null = null;
  const listeners = new Set<() => void>();
  return {
    pods: () => {
      if (connected?.status().synced !== true)
        throw new RuntimeUnavailable('the pods of this node were not read from the API server yet');
      return [...connected.store.values()];
    },
    watch: (onChange, signal) => {
      listeners.add(onChange);
      signal.addEventListener('abort', () => listeners.delete(onChange));
    },
    connect: (cache) => {
      connected = cache;
      cache.subscribe(() => {
        for (const onChange of listeners) onChange();
      });
    },
  };
}
