// Remembers what an engine said about running containers, so that a list need not ask for each of them again.
import type { RuntimeContainer } from '../../ports/container-runtime.ts';
import { processStart } from './process-identity.ts';

interface Known {
  readonly container: RuntimeContainer;
  readonly processStart: string;
}

export class KnownContainers {
  readonly #procRoot: string;
  #byId = new Map<string, Known>();

  /** `procRoot`: a /proc of the pid namespace in which the engine counts. */
  constructor(procRoot: string) {
    this.#procRoot = procRoot;
  }

  /** What was said of the container, as long as the same process is its init; null: to be asked. Names and states may have changed since. */
  async recall(id: string): Promise<RuntimeContainer | null> {
    const known = this.#byId.get(id);
    if (known === undefined) return null;
    return known.processStart === (await this.#startOf(known.container)) ? known.container : null;
  }

  /** Forgets all others. */
  async keepOnly(containers: readonly RuntimeContainer[]): Promise<void> {
    const kept = new Map<string, Known>();
    for (const container of containers) {
      const start = await this.#startOf(container);
      if (start !== null) kept.set(container.id, { container, processStart: start });
    }
    this.#byId = kept;
  }

  async #startOf({ pid }: RuntimeContainer): Promise<string | null> {
    return pid === null ? null : await processStart(this.#procRoot, pid);
  }
}
