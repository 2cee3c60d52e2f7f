import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { PodmanSlot } from '../../../../src/adapters/runtimes/podman-slot.ts';

let folder: string;
let slot: PodmanSlot;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slot-'));
  slot = new PodmanSlot(folder);
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** As Podman writes one; whole: CRIU got to its end. */
function dump(marker: string, { whole = true } = {}): void {
  mkdirSync(join(folder, 'checkpoint'), { recursive: true });
  writeFileSync(join(folder, 'checkpoint', marker), marker);
  if (whole) writeFileSync(join(folder, 'checkpoint/inventory.img'), 'i');
}
const content = (): string[] => readdirSync(join(folder, 'checkpoint')).sort();
const all = (): string[] => readdirSync(folder).sort();

describe('the one checkpoint that Podman keeps', () => {
  test('is closed to others and measured, and the one before is gone', async () => {
    dump('old');
    writeFileSync(join(folder, 'devshm-checkpoint.tar'), 'old');
    await slot.empty();
    expect(all()).toEqual(['checkpoint.before-ghostlimit', 'devshm-checkpoint.tar.before-ghostlimit']);
    dump('new');
    expect(await slot.keepNew()).toBe('new'.length + 1);
    expect(all()).toEqual(['checkpoint']);
    expect(content()).toEqual(['inventory.img', 'new']);
    expect(statSync(join(folder, 'checkpoint/new')).mode & 0o777).toBe(0o600);
  });

  test('is back after a failure, with nothing of the failed one in it', async () => {
    dump('old');
    writeFileSync(join(folder, 'devshm-checkpoint.tar'), 'old');
    await slot.empty();
    dump('half', { whole: false });
    await slot.bringBack();
    expect(content()).toEqual(['inventory.img', 'old']);
    expect(all()).toEqual(['checkpoint', 'devshm-checkpoint.tar']);
  });

  test('is none after a failure where there was none', async () => {
    await slot.empty();
    dump('half', { whole: false });
    await slot.bringBack();
    expect(all()).toEqual([]);
  });

  test.each([
    ['in the middle of a dump: the one before counts', false, ['inventory.img', 'old']],
    ['after a whole dump: that one counts', true, ['inventory.img', 'new']],
  ])('after a kill %s', async (_, whole, expected) => {
    dump('old');
    await slot.empty();
    dump('new', { whole });
    const next = new PodmanSlot(folder);
    await next.empty();
    await next.bringBack();
    expect(content()).toEqual(expected);
    expect(all()).toEqual(['checkpoint']);
  });
});
