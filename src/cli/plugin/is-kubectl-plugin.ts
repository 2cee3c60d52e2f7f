// By which name the program was called: kubectl runs its plugins by their file names. Looks at nothing else.
import { basename } from 'node:path';

/** True for the words of a process that was started as kubectl-ghostlimit; `argv0` is what it was called by, for a program that is one file. */
export function isKubectlPlugin(argv: readonly string[], argv0: string): boolean {
  return [argv[1] ?? '', argv0].some((path) => /^kubectl-ghostlimit(?:\.(?:mjs|exe))?$/.test(basename(path)));
}
