// The watch on a real directory that comes, goes and comes again.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as posix from 'node:path/posix';
import { watchDirectory } from '../../../../src/adapters/host/watch-directory.ts';

let root = '';
let directory = '';
let watching = new AbortController();
let calls = 0;
let wake: () => void = () => undefined;

beforeEach(async () => {
  root = await fs.mkdtemp(posix.join(os.tmpdir(), 'watch-'));
  directory = posix.join(root, 'etc/criu');
  watching = new AbortController();
  calls = 0;
});
afterEach(async () => {
  watching.abort();
  await fs.rm(root, { recursive: true });
});

function watch(): void {
  watchDirectory(
    directory,
    () => {
      calls += 1;
      wake();
    },
    watching.signal,
  );
}

/** Resolves when `act` has led to a call; the test's time-out ends a wait in vain. */
async function toldOf(act: () => Promise<unknown>): Promise<void> {
  const told = new Promise<void>((resolve) => (wake = resolve));
  await act();
  await told;
}

const writeFile = (name: string): Promise<void> => fs.writeFile(posix.join(directory, name), 'x');

test('a directory two levels missing is reported when it appears, and then watched', async () => {
  watch();
  await toldOf(() => fs.mkdir(directory, { recursive: true }));
  await toldOf(() => writeFile('runc.conf'));
  expect(calls).toBeGreaterThanOrEqual(2);
});

test('a directory that is removed and made again is watched again', async () => {
  await fs.mkdir(directory, { recursive: true });
  watch();
  for (let round = 0; round < 5; round += 1) {
    await toldOf(() => fs.rm(directory, { recursive: true }));
    await toldOf(() => fs.mkdir(directory));
    await toldOf(() => writeFile('runc.conf'));
  }
  expect(calls).toBeGreaterThanOrEqual(15);
});

test('a directory that is replaced by another in one step is watched', async () => {
  const next = posix.join(root, 'etc/next');
  await fs.mkdir(directory, { recursive: true });
  await fs.mkdir(next);
  watch();
  await toldOf(async () => {
    await fs.rename(directory, posix.join(root, 'etc/old'));
    await fs.rename(next, directory);
  });
  await toldOf(() => writeFile('runc.conf'));
  expect(calls).toBeGreaterThanOrEqual(2);
});

test('nothing is reported for a signal that was aborted before', async () => {
  await fs.mkdir(directory, { recursive: true });
  watching.abort();
  watch();
  await writeFile('runc.conf');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(calls).toBe(0);
});
