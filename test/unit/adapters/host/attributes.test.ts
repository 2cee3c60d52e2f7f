// Which attributes a replaced file keeps, on the real file system, and when a process is run for it.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as posix from 'node:path/posix';
import { createPosixHostFiles } from '../../../../src/adapters/host/posix-host-files.ts';
import { ChildProcessRunner } from '../../../../src/adapters/process/child-process-runner.ts';
import {
  CommandNotFound,
  type ProcessResult,
  type ProcessRunner,
} from '../../../../src/ports/process-runner.ts';

const PATH = '/etc/criu/runc.conf';
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

let root = '';
let file = '';
beforeEach(async () => {
  root = await fs.mkdtemp(posix.join(os.tmpdir(), 'attributes-'));
  file = posix.join(root, PATH);
  await fs.mkdir(posix.dirname(file), { recursive: true });
});
afterEach(() => fs.rm(root, { recursive: true }));

/** Runs the real `cp`, or gives `answer`, and remembers what was run. */
class RecordingRunner implements ProcessRunner {
  readonly commands: string[] = [];
  answer: ProcessResult | CommandNotFound | null = null;
  readonly #real = new ChildProcessRunner();

  run(
    command: string,
    args: readonly string[],
    options: { readonly timeoutMs: number },
  ): Promise<ProcessResult> {
    this.commands.push(command);
    if (this.answer instanceof CommandNotFound) return Promise.reject(this.answer);
    return this.answer === null ? this.#real.run(command, args, options) : Promise.resolve(this.answer);
  }
}

/** GNU tar is the one tool on any Debian that can write and read extended attributes. */
function setAttribute(directory: string, name: string): void {
  execFileSync(
    'sh',
    [
      '-c',
      `tar --format=pax --pax-option=SCHILY.xattr.user.origin:=theirs -cf - ${name} | tar --xattrs --xattrs-include='*' -xf -`,
    ],
    { cwd: directory },
  );
}

function attributesOf(directory: string, name: string): string {
  const archive = execFileSync('tar', ['--xattrs', '--xattrs-include=*', '-cf', '-', name], {
    cwd: directory,
  });
  return /SCHILY\.xattr\.\S+=\S+/.exec(archive.toString('latin1'))?.[0] ?? '';
}

async function rewrite(runner: ProcessRunner | null, content: string): Promise<string> {
  const files = createPosixHostFiles({ hostRoot: root, requireRootOwner: true, processes: runner });
  return files.replace(await files.read(PATH), bytes(content));
}

test('extended attributes, owner and mode are kept', async () => {
  await fs.writeFile(file, 'old');
  await fs.chmod(file, 0o640);
  await fs.chown(file, 0, 12);
  setAttribute(posix.dirname(file), 'runc.conf');
  expect(await rewrite(new RecordingRunner(), 'new')).toBe('Replaced');
  expect(attributesOf(posix.dirname(file), 'runc.conf')).toBe('SCHILY.xattr.user.origin=theirs');
  const stat = await fs.stat(file);
  expect([stat.uid, stat.gid, stat.mode & 0o7777]).toEqual([0, 12, 0o640]);
  expect(await fs.readFile(file, 'utf8')).toBe('new');
});

test('without a runner, owner and mode are kept', async () => {
  await fs.writeFile(file, 'old');
  await fs.chown(file, 3, 12);
  await fs.chmod(file, 0o600);
  await rewrite(null, 'new');
  const stat = await fs.stat(file);
  expect([stat.uid, stat.gid, stat.mode & 0o7777]).toEqual([3, 12, 0o600]);
});

describe('cp is run', () => {
  test('not for a file that we made, until somebody touches it', async () => {
    const runner = new RecordingRunner();
    const files = createPosixHostFiles({ hostRoot: root, requireRootOwner: true, processes: runner });
    for (const content of ['one', 'two', 'three'])
      await files.replace(await files.read(PATH), bytes(content));
    expect(runner.commands).toEqual([]);
    await fs.chmod(file, 0o600);
    await files.replace(await files.read(PATH), bytes('four'));
    expect(runner.commands).toEqual(['cp']);
    expect((await fs.stat(file)).mode & 0o7777).toBe(0o600);
  });

  test('for a file that was there, each time', async () => {
    const runner = new RecordingRunner();
    await fs.writeFile(file, 'old');
    const files = createPosixHostFiles({ hostRoot: root, requireRootOwner: true, processes: runner });
    for (const content of ['one', 'two']) await files.replace(await files.read(PATH), bytes(content));
    expect(runner.commands).toEqual(['cp', 'cp']);
  });

  test.each<[string, ProcessResult | CommandNotFound, string]>([
    [
      'fails',
      {
        exitCode: 1,
        stdout: '',
        stderr: 'cp: setting attributes: Operation not supported\n',
        timedOut: false,
      },
      'setting attributes: Operation not supported',
    ],
    ['hangs', { exitCode: null, stdout: '', stderr: '', timedOut: true }, 'timed out'],
    ['is not there', new CommandNotFound('cp'), 'GNU cp is needed'],
  ])('and %s: the file is left as it is', async (_name, answer, message) => {
    const runner = new RecordingRunner();
    runner.answer = answer;
    await fs.writeFile(file, 'old');
    await expect(rewrite(runner, 'new')).rejects.toMatchObject({
      reason: 'WriteFailed',
      message: expect.stringContaining(message) as unknown,
    });
    expect(await fs.readFile(file, 'utf8')).toBe('old');
    expect(await fs.readdir(posix.dirname(file))).toEqual(['runc.conf']);
  });
});
