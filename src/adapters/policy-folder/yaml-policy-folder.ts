// Reads policy files from a folder (or one file) with the yaml package. Parses only: what the documents mean is judged elsewhere.
import { readdir, readFile, stat } from 'node:fs/promises';
import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { printable } from '../../api/printable.ts';
import type { PolicyFile, PolicyFolder } from '../../ports/policy-folder.ts';

const POLICY_FILE_NAME = /^[^.].*\.(?:yaml|yml|json)$/;
const MAX_FILE_BYTES = 1_048_576;
/** Editors write in several steps: one look after the last of them is enough. */
const SETTLE_MS = 50;

/** Tells of changes in one directory, also when it goes and comes again. */
export type WatchDirectory = (directory: string, onChange: () => void, signal: AbortSignal) => void;

export function createYamlPolicyFolder(path: string, watchDirectory: WatchDirectory): PolicyFolder {
  return {
    read: async () => {
      if (!(await stat(path)).isDirectory()) return [await readPolicyFile(path)];
      return Promise.all((await policyFilesIn(path)).map(readPolicyFile));
    },
    watch: (onChange, signal) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (): void => {
        clearTimeout(timer);
        if (!signal.aborted) timer = setTimeout(onChange, SETTLE_MS).unref();
      };
      watchDirectory(watchedDirectory(path), settle, signal);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
      });
    },
  };
}

/** The real folder, or that of the one file: a file that is replaced by rename is another inode. */
function watchedDirectory(path: string): string {
  const whole = resolve(path);
  try {
    return realpathSync(statSync(whole).isDirectory() ? whole : dirname(whole));
  } catch {
    return whole;
  }
}

async function policyFilesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names
    .filter((name) => POLICY_FILE_NAME.test(name))
    .sort()
    .map((name) => join(directory, name));
}

async function readPolicyFile(path: string): Promise<PolicyFile> {
  const name = basename(path);
  try {
    return { name, content: await readContent(path) };
  } catch (error) {
    return { name, content: { problem: `cannot be read: ${printable((error as Error).message, 512)}` } };
  }
}

async function readContent(path: string): Promise<PolicyFile['content']> {
  const found = await stat(path);
  // A pipe or a device would be waited for, or have no end.
  if (!found.isFile()) return { problem: 'is not a regular file: remove it or move it elsewhere' };
  if (found.size > MAX_FILE_BYTES)
    return { problem: `has ${found.size} bytes: at most ${MAX_FILE_BYTES} are read` };
  return parseDocuments(await readFile(path, 'utf8'));
}

function parseDocuments(text: string): PolicyFile['content'] {
  try {
    const documents = parseAllDocuments(text, { logLevel: 'error' });
    const error = documents.flatMap(({ errors }) => errors)[0];
    if (error !== undefined) return notYaml(error);
    return {
      documents: documents.map((document) => document.toJS() as unknown).filter((value) => value !== null),
    };
  } catch (error) {
    return notYaml(error as Error);
  }
}

function notYaml({ message }: Error): PolicyFile['content'] {
  return { problem: `is not valid YAML: ${printable(message.split('\n')[0] ?? '', 512)}` };
}
