// Makes sure that a program of this machine is there. It installs only what a caller names, and only when missing.
import { runProgram } from './program.ts';

/** Whether argv (`mvn --version`) runs and exits 0. */
export async function isInstalled(argv: readonly string[]): Promise<boolean> {
  try {
    return (await runProgram(argv)).code === 0;
  } catch {
    return false;
  }
}

export interface WantedProgram {
  /** The program, which must know `--version`. */
  program: string;
  /** The Debian package that has it. */
  debianPackage: string;
}

/** apt-get locks its lists: this process installs one package after the other. */
let installing: Promise<unknown> = Promise.resolve();

/** Installs the program's package with apt-get when it is missing. Throws with what to do when that fails. */
export function ensureInstalled(wanted: WantedProgram, progress: (line: string) => void): Promise<void> {
  const done = installing.then(() => install(wanted, progress));
  installing = done.catch(() => undefined);
  return done;
}

async function install(
  { program, debianPackage }: WantedProgram,
  progress: (line: string) => void,
): Promise<void> {
  if (await isInstalled([program, '--version'])) return;
  if (!(await isInstalled(['apt-get', '--version']))) {
    throw new Error(
      `${program} is missing and there is no apt-get to install it with: install ${debianPackage}, then try again.`,
    );
  }
  progress(`${program} is missing: installing ${debianPackage} with apt-get`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await runProgram(['apt-get', 'update', '-qq'], { env });
  const { code, stderr } = await runProgram(
    ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', debianPackage],
    { env },
  );
  if (code === 0) return;
  throw new Error(
    `apt-get could not install ${debianPackage}. Install it by hand (apt-get install ${debianPackage}), then try again. It said:\n${stderr.slice(-800)}`,
  );
}
