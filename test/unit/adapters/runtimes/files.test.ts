// The small file readers of the runtime adapters, on a temporary folder.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { closeFolder, measureFolder } from '../../../../src/adapters/runtimes/archive-folder.ts';
import { readFreshLog } from '../../../../src/adapters/runtimes/dump-log-file.ts';
import { pathOnHost } from '../../../../src/adapters/runtimes/path-on-host.ts';
import { isTraced, processStart } from '../../../../src/adapters/runtimes/process-identity.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gl-runtimes-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('pathOnHost', () => {
  beforeEach(() => {
    mkdirSync(join(folder, 'run/docker'), { recursive: true });
    mkdirSync(join(folder, 'var'));
    symlinkSync('/run', join(folder, 'var/run'));
    symlinkSync('../../run', join(folder, 'var/rel'));
    symlinkSync('/etc/passwd', join(folder, 'run/last'));
    symlinkSync('/loop', join(folder, 'loop'));
    symlinkSync('../../../../../../etc', join(folder, 'up'));
  });

  test.each([
    ['/run/docker/x', 'run/docker/x'],
    ['/var/run/docker/x', 'run/docker/x'],
    ['/var/rel/docker', 'run/docker'],
    ['/var/run/../run/last', 'run/last'],
    ['/up/shadow', 'etc/shadow'],
    ['/../../etc/x', 'etc/x'],
    ['/missing/a/b', 'missing/a/b'],
    ['/', ''],
  ])('%s', async (path, expected) => {
    expect(await pathOnHost(folder, path)).toBe(expected === '' ? `${folder}/` : join(folder, expected));
  });

  test('gives up on a loop, and leaves paths of the host itself to the kernel', async () => {
    await expect(pathOnHost(folder, '/loop/x')).rejects.toThrow('too many symbolic links');
    expect(await pathOnHost('/', '/var/run/x')).toBe('/var/run/x');
  });
});

describe('readFreshLog', () => {
  const CALL = { startedAtMs: 1_000_000, endedAtMs: 1_005_000 };
  const write = (text: string | Buffer, mtimeMs: number): string => {
    const path = join(folder, 'dump.log');
    writeFileSync(path, text);
    utimesSync(path, mtimeMs / 1000, mtimeMs / 1000);
    return path;
  };

  test.each([
    ['during the call', 1_002_000, 'text'],
    ['as it ended', 1_005_000, 'text'],
    ['before the call', 999_990, null],
    ['in the millisecond in which it started, by an earlier call', 1_000_000, null],
    ['in the future: the clock was set back since', 1_900_000, null],
  ])('written %s', async (_, mtimeMs, expected) => {
    expect(await readFreshLog(write('text', mtimeMs), CALL)).toBe(expected);
  });

  test('is null for no file, a link, a FIFO and a folder', async () => {
    const now = { startedAtMs: 0, endedAtMs: Date.now() + 60_000 };
    writeFileSync(join(folder, 'real'), 'secret');
    symlinkSync('real', join(folder, 'link'));
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    for (const name of ['none', 'link', 'fifo', '.'])
      expect(await readFreshLog(join(folder, name), now)).toBeNull();
    expect(await readFreshLog(join(folder, 'real'), now)).toBe('secret');
  });

  test('keeps whole lines of head and tail of a very long log', async () => {
    const lines = Array.from(
      { length: 60_000 },
      (_, index) => `(00.000001) line ${index.toString().padStart(8, '0')}`,
    );
    const text = await readFreshLog(write(lines.join('\n'), 1_002_000), CALL);
    const kept = text?.split('\n') ?? [];
    expect(text?.length).toBeLessThanOrEqual(1024 * 1024);
    expect(kept[0]).toBe(lines[0]);
    expect(kept.at(-1)).toBe(lines.at(-1));
    expect(kept.every((line) => /^\(00\.000001\) line \d{8}$/.test(line))).toBe(true);
    expect(kept.length).toBeGreaterThan(30_000);
  });
});

describe('an archive folder', () => {
  test('is measured and closed, and links in it are left alone', async () => {
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    writeFileSync(join(folder, 'a/one'), '12345');
    writeFileSync(join(folder, 'a/b/two'), '1234567');
    writeFileSync(join(folder, 'outside'), 'x'.repeat(1000));
    chmodSync(join(folder, 'outside'), 0o644);
    symlinkSync('../outside', join(folder, 'a/link'));
    // The link's own size is the length of its target.
    expect(await measureFolder(join(folder, 'a'))).toBe(5 + 7 + '../outside'.length);
    await closeFolder(join(folder, 'a'));
    const modes = ['a', 'a/b', 'a/one', 'a/b/two', 'outside'].map(
      (name) => lstatSync(join(folder, name)).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o700, 0o600, 0o600, 0o644]);
  });
});

describe('processes', () => {
  test('the start time of a live one, null of none', async () => {
    expect(await processStart('/proc', process.pid)).toMatch(/^\d+$/);
    expect(await processStart('/proc', 2 ** 30)).toBeNull();
  });

  test('the name of a process cannot pass for its start time', async () => {
    mkdirSync(join(folder, '7'));
    const fields = Array.from({ length: 30 }, (_, index) => (index + 3).toString()).join(' ');
    writeFileSync(join(folder, '7/stat'), `7 (a) b 9 9 9 (x) ${fields}\n`);
    // Fields count from 1; the third follows the name.
    expect(await processStart(folder, 7)).toBe('22');
  });

  test.each([
    ['Name:\tx\nTracerPid:\t0\n', false],
    ['Name:\tx\nTracerPid:\t4711\n', true],
    ['', false],
  ])('traced: %j', async (status, expected) => {
    mkdirSync(join(folder, '7'));
    writeFileSync(join(folder, '7/status'), status);
    expect(await isTraced(folder, 7)).toBe(expected);
    expect(await isTraced(folder, 8)).toBe(false);
  });
});
