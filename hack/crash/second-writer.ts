// Somebody who edits the CRIU file while the agent keeps it, in every way that programs do, and knows at any moment which text is theirs.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as posix from 'node:path/posix';
import { setTimeout as sleep } from 'node:timers/promises';
import { BLIND_EDITS, EDITS, modelOf, type FileModel } from '../../test/histories/file-model.ts';
import type { Random } from '../../test/histories/random.ts';

export interface SecondWriter {
  /** Edits in place during which the file was taken out of its place: their text has to come back by itself. */
  readonly overtaken: () => number;
  /** One edit, which may take a second. Rejects when the file is not their text with at most one block of ours, and does not become so in time. */
  edit: () => Promise<void>;
  /** A new file by rename, with lines that CRIU takes and that set no limit. Rejects as `edit` does. */
  rewrite: () => Promise<void>;
  /** Looks at the file; throws as `edit` does. Gives its bytes and the text that is theirs, as latin1. */
  look: () => Pick<FileModel, 'content' | 'foreign'>;
}

/** An agent that was killed has to be started again first. */
const COME_BACK_MS = 45_000;
const LOOK_MS = 5;
const LONGEST_STEP_MS = 400;

const PLAIN_TEXTS = [
  '',
  '# theirs\n',
  'tcp-close # theirs',
  '# \xff\xfe\r\nverbosity 4\r\n',
  'log-file dump.log\n',
];

export function startSecondWriter(path: string, random: Random): SecondWriter {
  const first = read(path);
  let model: FileModel = { content: first, foreign: first, parts: null };

  /** The file is as they left it, or the agent has written it since. */
  const look = (): FileModel => {
    const content = read(path);
    if (content === model.content) return model;
    const isRemoved = content === null && (model.foreign ?? '') === '';
    model = isRemoved ? { content, foreign: null, parts: null } : modelOf(content, model.foreign);
    return model;
  };

  /** A text that came too late is on its way back. */
  const lookAgain = async (): Promise<FileModel> => {
    const giveUpMs = performance.now() + COME_BACK_MS;
    for (;;) {
      try {
        return look();
      } catch (error) {
        if (performance.now() > giveUpMs) throw error;
      }
      await sleep(LOOK_MS);
    }
  };

  let overtaken = 0;
  return {
    look,
    overtaken: () => overtaken,
    rewrite: async () => {
      await lookAgain();
      const text = random.pick(PLAIN_TEXTS);
      replaceByRename(path, Buffer.from(text, 'latin1'), random);
      model = { content: text, foreign: text, parts: null };
    },
    edit: async () => {
      const before = await lookAgain();
      const known = before.parts !== null || before.content === before.foreign;
      const after = random.pick(known ? EDITS : BLIND_EDITS)(before, random);
      if (after.content === before.content) return;
      if (!(await store(path, { before, after: after.content }, random))) overtaken += 1;
      model = after;
    },
  };
}

function read(path: string): string | null {
  try {
    return fs.readFileSync(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

interface Change {
  readonly before: FileModel;
  readonly after: string | null;
}

/**
 * As the change allows: `>>` for what comes at the end, `sed -i` for a line at the start; else a new file by rename as Ansible does it, or truncated and written in place.
 * False: it was in place, and the file was in no directory any more when they closed it.
 */
async function store(path: string, change: Change, random: Random): Promise<boolean> {
  const { before, after } = change;
  if (after === null) {
    fs.rmSync(path, { force: true });
    return true;
  }
  fs.mkdirSync(posix.dirname(path), { recursive: true });
  const bytes = Buffer.from(after, 'latin1');
  const firstLine = plainFirstLine(change);
  if (isPlainAppend(change) && random.chance(0.7))
    return writeInPlace(path, 'a', bytes.subarray(before.content?.length), random);
  if (firstLine !== null && random.chance(0.7)) sed(`1i\\${firstLine}`, path);
  else if (random.chance(0.4)) return writeInPlace(path, 'w', bytes, random);
  else replaceByRename(path, bytes, random);
  return true;
}

/** Every second time at once; else slowly, in steps. */
async function writeInPlace(
  path: string,
  flag: 'a' | 'w',
  bytes: Uint8Array,
  random: Random,
): Promise<boolean> {
  const isSlow = random.chance(0.5);
  const fd = fs.openSync(path, flag);
  try {
    const middle = random.below(bytes.length + 1);
    for (const part of isSlow ? [bytes.subarray(0, middle), bytes.subarray(middle)] : [bytes]) {
      if (isSlow) await sleep(random.below(LONGEST_STEP_MS));
      fs.writeSync(fd, part);
    }
    return fs.fstatSync(fd).nlink > 0;
  } finally {
    fs.closeSync(fd);
  }
}

function replaceByRename(path: string, bytes: Uint8Array, random: Random): void {
  fs.mkdirSync(posix.dirname(path), { recursive: true });
  const temporary = posix.join(posix.dirname(path), `.ansible_tmp${random.below(1e9)}runc.conf`);
  fs.writeFileSync(temporary, bytes);
  fs.renameSync(temporary, path);
}

/** And whole lines, whether the agent puts its block in or takes it out just before. */
function isPlainAppend({ before, after }: Change): boolean {
  const { content, foreign } = before;
  return (
    content?.endsWith('\n') === true &&
    foreign?.endsWith('\n') === true &&
    after?.startsWith(content) === true
  );
}

function plainFirstLine({ before, after }: Change): string | null {
  if (!before.content || after?.endsWith(before.content) !== true) return null;
  const added = after.slice(0, after.length - before.content.length);
  return /^[!-[\]-~][ -[\]-~]*\n$/.test(added) ? added.slice(0, -1) : null;
}

function sed(script: string, path: string): void {
  const { status, stderr } = spawnSync('sed', ['-i', '-e', script, path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`sed -i: ${stderr}`);
}
