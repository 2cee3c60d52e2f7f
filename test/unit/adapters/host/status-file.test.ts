import {
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createStatusFile, readStatusFile } from '../../../../src/adapters/host/status-file.ts';
import { FakeNode } from '../../../fakes/fake-node.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostlimit-status-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('what is published is read back; the folder is made; nothing else is left there', async () => {
  const path = join(folder, 'run', 'status.json');
  const report = await new FakeNode().pass();
  await createStatusFile(path).publish(report);
  expect(await readStatusFile(path)).toEqual(report);
  expect(readdirSync(join(folder, 'run'))).toEqual(['status.json']);
  expect(lstatSync(path).mode & 0o777).toBe(0o644);
});

test('a file that somebody removed comes back with the next report, though it is the same', async () => {
  const path = join(folder, 'status.json');
  const sink = createStatusFile(path);
  const report = await new FakeNode().pass();
  await sink.publish(report);
  rmSync(path);
  await sink.publish(report);
  expect(await readStatusFile(path)).toEqual(report);
});

test('a link that lies in wait under the temporary name is not written through', async () => {
  const path = join(folder, 'status.json');
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'whole');
  symlinkSync(victim, `${path}.${process.pid}.tmp`);
  await createStatusFile(path).publish(await new FakeNode().pass());
  expect(readFileSync(victim, 'utf8')).toBe('whole');
});

test('no file is no report; a file that holds none is an error', async () => {
  expect(await readStatusFile(join(folder, 'none.json'))).toBeNull();
  const path = join(folder, 'odd.json');
  for (const text of ['', '{', 'null', '{"conditions":[]}']) {
    writeFileSync(path, text);
    await expect(readStatusFile(path)).rejects.toThrow('does not hold a report of ghostlimit: remove it');
  }
});
