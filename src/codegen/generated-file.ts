// Files that are made from the code: written, or, with --check, compared with what is there.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { stringify } from 'yaml';

const root = join(import.meta.dirname, '../..');

export interface GeneratedFile {
  /** From the root of the project. */
  readonly path: string;
  readonly text: string;
}

/** One line each; long texts are not folded, so that a change of one word is a change of one line. */
export function printYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Writes `files`, or with `check` sets exit code 1 and names those that are not as they should be. */
export async function putFiles(
  files: readonly GeneratedFile[],
  { check, command }: { readonly check: boolean; readonly command: string },
): Promise<void> {
  for (const { path, text } of files) {
    const file = join(root, path);
    const isThere = (await readFile(file, 'utf8').catch(() => null)) === text;
    if (isThere) continue;
    if (check) {
      process.stderr.write(`${relative(root, file)} is not what the code says: run ${command}\n`);
      process.exitCode = 1;
      continue;
    }
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}
