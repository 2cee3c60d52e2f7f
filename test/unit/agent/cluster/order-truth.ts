// What is true of every order at its end, whatever happened on the way.
import type { ContainerResult } from '../../../../src/api/checkpoint-request.ts';
import type { Dump } from './dumping-runtime.ts';
import type { OrderWorld } from './order-world.ts';

/** Sentences about what is not as it must be; empty: all is well. `containers` of each request, by its UID, which is the pod's too. */
export function untruths(world: OrderWorld, requests: ReadonlyMap<string, readonly string[]>): string[] {
  const found = [...world.faults, ...world.runtime.faults];
  for (const [requestUID, names] of requests) {
    const report = world.results.get(requestUID);
    if (report === undefined) {
      found.push(`${requestUID} has no result`);
      continue;
    }
    const told = report.containers.map(({ name }) => name);
    if (told.join() !== names.join()) found.push(`${requestUID} tells of ${told.join()}`);
    for (const result of report.containers) {
      const dumps = world.runtime.dumps.filter(
        ({ containerId }) => containerId === `${requestUID}-${result.name}`,
      );
      const wrong = wrongAbout(result, dumps, requestUID, world);
      if (wrong !== null) found.push(`${requestUID} ${result.name} ${JSON.stringify(result)}: ${wrong}`);
    }
  }
  return found;
}

type Outcome = Dump['outcome'] | 'NeverCalled';

/** What may have happened at the runtime for each answer. */
const HAPPENED: Readonly<Record<ContainerResult['result'], readonly Outcome[]>> = {
  Succeeded: ['Succeeded'],
  Failed: ['Failed', 'NeverCalled'],
  // Written down before the call, and killed before it was made: nobody can tell that from a call that left nothing.
  Unknown: ['Failed', 'BrokenOff', 'NeverCalled'],
  Skipped: ['NeverCalled'],
};

function wrongAbout(
  { result, attempts, archive }: ContainerResult,
  dumps: readonly Dump[],
  requestUID: string,
  world: OrderWorld,
): string | null {
  const [dump] = dumps;
  const outcome: Outcome = dump?.outcome ?? 'NeverCalled';
  if (dumps.length > 1) return 'called more than once';
  if (!HAPPENED[result].includes(outcome)) return outcome;
  if (result === 'Failed') return attempts === dumps.length ? null : `called ${dumps.length} times`;
  if (result === 'Succeeded' && dump !== undefined)
    return wrongAboutArchive(archive?.path, dump, requestUID, world);
  return null;
}

function wrongAboutArchive(
  path: string | undefined,
  dump: Dump,
  requestUID: string,
  world: OrderWorld,
): string | null {
  if (path !== dump.path) return 'that is not its archive';
  return isRecorded(world, requestUID, dump.path) ? null : 'the archive is nobody’s';
}

function isRecorded({ state }: OrderWorld, requestUID: string, path: string): boolean {
  const records = JSON.parse(state.text('archives.json') ?? '[]') as {
    readonly requestUID: string;
    readonly path: string;
  }[];
  return records.some((record) => record.requestUID === requestUID && record.path === path);
}
