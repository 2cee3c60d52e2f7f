// Finds out what OCI runtimes and libcriu can do: by what they print, and by the symbols that are in their files. Runs nothing but --version and ldconfig.
import { open, realpath, stat, statfs } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { OciRuntime } from '../../api/criu-readers.ts';
import type { OciRuntimeInspector } from '../../ports/oci-runtime-inspector.ts';
import { CommandNotFound, type ProcessRunner } from '../../ports/process-runner.ts';

const TIMEOUT_MS = 10_000;
const LIBRARY = 'libcriu.so.2';
/** Where a dynamic linker without a cache (musl) looks, and where distributions put libraries. */
const LIBRARY_FOLDERS = ['/usr/local/lib64', '/usr/local/lib', '/usr/lib64', '/usr/lib', '/lib64', '/lib'];
/**
 * libcriu has this function from 4.2 on, and a crun that would call it names it, as it looks it up at run time. Versions would tell as much of unpatched builds;
 * the file name of the library does not: it is libcriu.so.2.0 in 4.1.1 and in 4.2.1 alike (measured).
 */
const SYMBOL = Buffer.from('criu_set_config_file\0');
const PIECE_BYTES = 1024 * 1024;

export interface InspectorOptions {
  readonly runner: ProcessRunner;
  /** Folders in which programs and their libraries are looked up; those of this process by default. */
  readonly path?: readonly string[];
  /** `/`, or where the host's root is mounted; `runner` runs the host's programs then. */
  readonly hostRoot?: string;
}

export function createOciRuntimeInspector({
  runner,
  path = (process.env['PATH'] ?? '').split(':'),
  hostRoot = '/',
}: InspectorOptions): OciRuntimeInspector {
  const known = new Map<string, boolean>();
  const holdsSymbol = async (onHost: string): Promise<boolean> => {
    const file = join(hostRoot, onHost);
    const { size, mtimeMs, ino } = await stat(file);
    const key = `${file} ${size.toString()} ${mtimeMs.toString()} ${ino.toString()}`;
    const holds = known.get(key) ?? (await contains(file, SYMBOL));
    known.set(key, holds);
    return holds;
  };
  return {
    inspect: (command) => inspect(command, { runner, path, hostRoot, holdsSymbol }),
    findLibcriu: async () => {
      const file = await findLibrary(runner, hostRoot);
      return file === null ? null : { path: file, takesFileName: await holdsSymbol(file).catch(() => false) };
    },
    cgroupMode: async () => {
      if (await isCgroup2(join(hostRoot, 'sys/fs/cgroup'))) return 'V2';
      return (await isCgroup2(join(hostRoot, 'sys/fs/cgroup/unified'))) ? 'Hybrid' : 'V1';
    },
  };
}

interface Tools {
  readonly runner: ProcessRunner;
  readonly path: readonly string[];
  readonly hostRoot: string;
  readonly holdsSymbol: (file: string) => Promise<boolean>;
}

async function inspect(
  command: string,
  { runner, path, hostRoot, holdsSymbol }: Tools,
): Promise<OciRuntime | null> {
  const printed = await run(runner, command, ['--version']);
  if (printed === null) return null;
  const [, name, version = null] = /^(\S+) version (\S+)/m.exec(printed) ?? [];
  const file = await findProgram(command, path, hostRoot);
  const program = file ?? command;
  if (name !== 'crun') {
    const kind = name === 'runc' ? 'runc' : 'Other';
    return { program, kind, version, builtWithCriu: null, namesFile: false };
  }
  return {
    program,
    kind: 'crun',
    version,
    // The last line of crun --version lists what it was built with: "+SYSTEMD +SELINUX ... +CRIU".
    builtWithCriu: /(?:^|\s)\+CRIU(?:\s|$)/.test(printed),
    namesFile: file !== null && (await holdsSymbol(file).catch(() => false)),
  };
}

/** What it printed, whatever its exit code; null: there is no such program. */
async function run(runner: ProcessRunner, command: string, args: readonly string[]): Promise<string | null> {
  try {
    return (await runner.run(command, args, { timeoutMs: TIMEOUT_MS })).stdout;
  } catch (error) {
    if (error instanceof CommandNotFound) return null;
    throw error;
  }
}

/** CGROUP2_SUPER_MAGIC of linux/magic.h; crun tells the modes apart by the same (src/libcrun/cgroup.c). */
const CGROUP2_MAGIC = 0x63677270;

async function isCgroup2(path: string): Promise<boolean> {
  return await statfs(path).then(
    ({ type }) => type === CGROUP2_MAGIC,
    () => false,
  );
}

async function findProgram(
  command: string,
  path: readonly string[],
  hostRoot: string,
): Promise<string | null> {
  const places = command.includes('/') ? [command] : path.map((folder) => join(folder, command));
  return await firstThere(places, hostRoot);
}

/** The dynamic linker's own list first; the one of its first entry is what dlopen takes. */
async function findLibrary(runner: ProcessRunner, hostRoot: string): Promise<string | null> {
  const cache =
    (await run(runner, 'ldconfig', ['-p'])) ?? (await run(runner, '/sbin/ldconfig', ['-p'])) ?? '';
  const listed = [...cache.matchAll(/^\s*libcriu\.so\.2 .*=> (\/.*)$/gm)].map(([, file]) => file ?? '');
  const places = [...listed, ...LIBRARY_FOLDERS.map((folder) => join(folder, LIBRARY))];
  return await firstThere(places, hostRoot);
}

/** As a path of the host. In a container, a link that is absolute is not followed: it would lead out of the host's root. */
async function firstThere(places: readonly string[], hostRoot: string): Promise<string | null> {
  for (const place of places) {
    const file = await realpath(join(hostRoot, place)).catch(() => null);
    if (file !== null) return join('/', relative(hostRoot, file));
  }
  return null;
}

async function contains(file: string, wanted: Buffer): Promise<boolean> {
  const handle = await open(file);
  try {
    const buffer = Buffer.alloc(PIECE_BYTES);
    let kept = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, kept, PIECE_BYTES - kept, null);
      if (bytesRead === 0) return false;
      const filled = buffer.subarray(0, kept + bytesRead);
      if (filled.includes(wanted)) return true;
      // What was found half at the end of this piece.
      kept = Math.min(wanted.length - 1, filled.length);
      filled.copyWithin(0, filled.length - kept);
    }
  } finally {
    await handle.close();
  }
}
