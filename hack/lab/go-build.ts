// Builds programs from their Go modules for the lab. The modules come from wherever this machine's Go is set to fetch
// them; no file here names such a place.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isInstalled } from './installed-program.ts';
import { DYING_WITH_US, runProgram } from './program.ts';

/** The Go that is there, never one that it would download. */
const GO_ENVIRONMENT = {
  CGO_ENABLED: '0',
  GOTOOLCHAIN: 'local',
  GOWORK: 'off',
  GOFLAGS: '-mod=mod -trimpath -buildvcs=false',
};

export interface GoPrograms {
  /** For messages: `containerd 2.4.2`. */
  what: string;
  /** The text of the go.mod of a module `lab` that requires the modules. */
  goMod: string;
  /** The import paths of the programs. */
  packages: readonly string[];
  /** Go sources of our own in `lab`: the text of each by its path. */
  sources?: Readonly<Record<string, string>>;
  linkerFlags: string;
}

/** Throws with what to do when this machine has no Go. */
export async function requireGo(what: string): Promise<void> {
  if (await isInstalled(['go', 'version'])) return;
  throw new Error(
    `${what} is built from its Go module, but there is no Go: install Go 1.26 or newer (a distribution's package may be older), then try again.`,
  );
}

/**
 * Runs `go ARGS`; gives stdout. Throws with the end of what Go said and what to do. The caller's death ends Go and its
 * compilers.
 */
export async function runGo(args: readonly string[], what: string): Promise<string> {
  const { code, stdout, stderr } = await runProgram([...DYING_WITH_US, 'go', ...args], {
    env: { ...process.env, ...GO_ENVIRONMENT },
  });
  if (code === 0) return stdout.toString();
  const said = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('go: downloading '));
  throw new Error(
    `Go could not build ${what}. If its modules cannot be fetched, see to Go's settings (go env GOPROXY). It said:\n${said.slice(-8).join('\n')}`,
  );
}

/** Builds the programs into `folder`, which exists, each by its package's last word. Throws as {@link runGo} does. */
export async function buildGoPrograms(folder: string, programs: GoPrograms): Promise<void> {
  const source = join(folder, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'go.mod'), programs.goMod);
  for (const [path, text] of Object.entries(programs.sources ?? {})) {
    mkdirSync(dirname(join(source, path)), { recursive: true });
    writeFileSync(join(source, path), text);
  }
  const flags = ['-ldflags', programs.linkerFlags, '-o', `${folder}/`];
  await runGo(['-C', source, 'build', ...flags, ...programs.packages], programs.what);
  rmSync(source, { recursive: true });
}
