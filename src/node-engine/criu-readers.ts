// Keeps what is known about who reads CRIU's files on this host, in the state folder: asked again at most once a minute. What an engine that is silent now said last stays.
import type { CriuReaders, FilesSetting, UsedOciRuntime } from '../api/criu-readers.ts';
import type { Clock } from '../ports/clock.ts';
import { RuntimeUnavailable, type ContainerRuntime } from '../ports/container-runtime.ts';
import type { HostFacts } from '../ports/host-facts.ts';
import type { OciRuntimeInspector } from '../ports/oci-runtime-inspector.ts';
import type { Document } from './documents.ts';

export interface CriuReadersParts {
  readonly runtimes: readonly ContainerRuntime[];
  readonly inspector: OciRuntimeInspector;
  readonly facts: HostFacts;
  readonly document: Document<CriuReaders>;
  readonly clock: Clock;
}

export interface CriuReadersSource {
  /** Looks again, when the last look is a minute old or older, and keeps what it found for all programs of this host. */
  refresh(files: FilesSetting): Promise<void>;
  /** Looks only when nobody on this host ever did: a command goes by what the agent found and was told. */
  refreshIfUnknown(files: FilesSetting): Promise<void>;
}

const FRESH_MS = 60_000;

export function createCriuReaders(parts: CriuReadersParts): CriuReadersSource {
  const { clock, document } = parts;
  let lookedAtMs: number | null = null;
  const look = async (files: FilesSetting): Promise<void> => {
    const before = await document.read();
    const now = await gather(files, before, parts);
    if (JSON.stringify(before) !== JSON.stringify(now)) await document.write(now);
    lookedAtMs = clock.monotonicMs();
  };
  return {
    refresh: async (files) => {
      if (lookedAtMs === null || clock.monotonicMs() - lookedAtMs >= FRESH_MS) await look(files);
    },
    refreshIfUnknown: async (files) => {
      if ((await document.read()) === null) await look(files);
    },
  };
}

/** As gather, without a memory: for a diagnosis that changes nothing. */
export function gatherCriuReaders(
  files: FilesSetting,
  parts: Omit<CriuReadersParts, 'document' | 'clock'>,
): Promise<CriuReaders> {
  return gather(files, null, parts);
}

async function gather(
  files: FilesSetting,
  before: CriuReaders | null,
  { runtimes, inspector, facts }: Omit<CriuReadersParts, 'document' | 'clock'>,
): Promise<CriuReaders> {
  const found = new Map<string, UsedOciRuntime>();
  const add = (runtime: UsedOciRuntime): void => {
    const { commands = [], engines = [], defaultOf = [] } = found.get(runtime.program) ?? {};
    found.set(runtime.program, {
      ...runtime,
      commands: union(commands, runtime.commands),
      engines: union(engines, runtime.engines),
      defaultOf: [...defaultOf, ...runtime.defaultOf],
    });
  };
  for (const runtime of runtimes) {
    const uses = (await usesOf(runtime, inspector)) ?? knownUses(runtime.name, before);
    uses.forEach(add);
  }
  return {
    files,
    ociRuntimes: [...found.values()].sort((a, b) => (a.program < b.program ? -1 : 1)),
    libcriu: await inspector.findLibcriu(),
    criuVersion: (await facts.read()).criuVersion,
  };
}

function union(one: readonly string[], other: readonly string[]): string[] {
  return [...new Set([...one, ...other])];
}

/** The OCI runtime that the engine takes by default, and those of its containers; null: the engine does not answer. */
async function usesOf(
  engine: ContainerRuntime,
  inspector: OciRuntimeInspector,
): Promise<readonly UsedOciRuntime[] | null> {
  try {
    const { ociRuntimeCommand } = await engine.probe();
    const own = (await engine.list()).flatMap(({ ociRuntime }) => ociRuntime ?? []);
    const commands = new Set(ociRuntimeCommand === null ? own : [ociRuntimeCommand, ...own]);
    const uses: UsedOciRuntime[] = [];
    for (const command of commands) {
      const inspected = await inspector.inspect(command);
      const defaultOf = command === ociRuntimeCommand ? [engine.name] : [];
      if (inspected !== null)
        uses.push({ ...inspected, commands: [command], engines: [engine.name], defaultOf });
    }
    return uses;
  } catch (error) {
    if (error instanceof RuntimeUnavailable) return null;
    throw error;
  }
}

function knownUses(engine: string, before: CriuReaders | null): readonly UsedOciRuntime[] {
  return (before?.ociRuntimes ?? [])
    .filter(({ engines }) => engines.includes(engine))
    .map((known) => ({
      ...known,
      engines: [engine],
      defaultOf: known.defaultOf.filter((name) => name === engine),
    }));
}
