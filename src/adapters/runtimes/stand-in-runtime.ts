// A runtime that is used only as long as another way to the same containers was never open: so that no container is listed, or dumped, twice.
import { RuntimeUnavailable, type ContainerRuntime } from '../../ports/container-runtime.ts';

/**
 * `runtime`, as long as `isOtherThere` says no. Once it said yes it is not asked again: a runtime that is restarted just now is away for both ways, and is coming
 * back. Calls of a runtime that is not needed reject with RuntimeUnavailable.
 */
export function createStandInRuntime(
  runtime: ContainerRuntime,
  isOtherThere: () => Promise<boolean>,
): ContainerRuntime {
  let isNeeded = true;
  const needed = async (): Promise<ContainerRuntime> => {
    if (isNeeded && (await isOtherThere())) isNeeded = false;
    if (isNeeded) return runtime;
    throw new RuntimeUnavailable(`${runtime.name} is not used: the socket of the container runtime is here`);
  };
  return {
    name: runtime.name,
    probe: async () => (await needed()).probe(),
    list: async () => (await needed()).list(),
    find: async (idOrName) => (await needed()).find(idOrName),
    watch: (onChange, signal) => {
      runtime.watch(onChange, signal);
    },
    checkpoint: async (call) => (await needed()).checkpoint(call),
  };
}
