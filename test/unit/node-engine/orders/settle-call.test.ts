import { beforeEach, expect, test } from '@jest/globals';
import { settleCall, type Settled } from '../../../../src/node-engine/orders/settle-call.ts';
import { FakeCheckpointArchives, type FakeArchive } from '../../../fakes/fake-checkpoint-archives.ts';
import { VirtualTime } from '../../../fakes/virtual-time.ts';
import { RecordingLog } from '../../machinery/recording.ts';

const KUBELET = '/var/lib/kubelet/checkpoints';
const CALLED = Date.parse('2026-11-23T09:59:50.000Z');
const CALL = {
  name: 'app',
  containerId: 'c1',
  attempt: 1,
  checkpointName: 'ghostlimit-1',
  archiveDirectory: '/a',
  calledAt: new Date(CALLED).toISOString(),
};
const LIMIT_MS = 120_000;

let time: VirtualTime;
let archives: FakeCheckpointArchives;
let isFrozen: () => boolean | null;
let stop: AbortController;

beforeEach(() => {
  time = new VirtualTime();
  archives = new FakeCheckpointArchives();
  isFrozen = () => false;
  stop = new AbortController();
});

/** The answer and when it came, milliseconds. */
async function settle(): Promise<{ path: string | null; afterMs: number }> {
  const seen: { settled?: Settled; atMs?: number } = {};
  void settleCall(
    CALL,
    LIMIT_MS,
    {
      archives,
      isFrozen: () => Promise.resolve(isFrozen()),
      runtimeDirectories: [KUBELET],
      clock: time,
      log: new RecordingLog(),
    },
    stop.signal,
  ).then((settled) => {
    seen.settled = settled;
    seen.atMs = time.monotonicMs();
  });
  await time.advance(LIMIT_MS + 10_000);
  const { settled, atMs = NaN } = seen;
  if (settled === undefined) throw new Error('not settled');
  return {
    path: settled === null || settled === 'Interrupted' ? settled : settled.path,
    afterMs: atMs,
  };
}

const put = (path: string, archive: Partial<FakeArchive>): void => {
  archives.put(path, { modifiedMs: CALLED + 4_000, identity: { containerId: 'c1' }, ...archive });
};

test.each<[string, string, Partial<FakeArchive>, boolean]>([
  ['the archive of the name that was planned', '/a/c1/ghostlimit-1.tar', {}, true],
  ['one that does not say whose it is, of that name', '/a/c1/ghostlimit-1.tar', { identity: {} }, true],
  [
    'that of another container, of that name',
    '/a/c1/ghostlimit-1.tar',
    { identity: { containerId: 'c2' } },
    false,
  ],
  ['one in the folder of the kubelet', `${KUBELET}/checkpoint-p_n-app-2026.tar`, {}, true],
  [
    'that of another container, in the folder of the kubelet',
    `${KUBELET}/x.tar`,
    { identity: { containerId: 'c2' } },
    false,
  ],
  ['one that does not say whose it is', `${KUBELET}/x.tar`, { identity: {} }, false],
  ['one of before the call', `${KUBELET}/x.tar`, { modifiedMs: CALLED - 2_000 }, false],
  ['one of the call, by a clock that lags a little', `${KUBELET}/x.tar`, { modifiedMs: CALLED - 10 }, true],
  ['one that is cut short', '/a/c1/ghostlimit-1.tar', { fault: 'is cut short' }, false],
  ['one elsewhere', '/b/ghostlimit-1.tar', {}, false],
])('%s', async (_what, path, archive, counts) => {
  put(path, archive);
  expect((await settle()).path).toBe(counts ? path : null);
});

test('without an archive a while is waited for one', async () => {
  expect(await settle()).toEqual({ path: null, afterMs: 5_000 });
});

test('as long as the container is frozen its dump may still be going on', async () => {
  isFrozen = () => time.monotonicMs() < 60_000;
  time.after(60_000, () => {
    put('/a/c1/ghostlimit-1.tar', {});
  });
  const { path, afterMs } = await settle();
  expect(path).toBe('/a/c1/ghostlimit-1.tar');
  expect(afterMs).toBeGreaterThanOrEqual(60_000);
  expect(afterMs).toBeLessThan(65_000);
});

test('an archive that grows is waited for', async () => {
  for (let second = 0; second < 20; second += 1)
    time.after(second * 1_000, () => {
      put('/a/c1/ghostlimit-1.tar', { sizeBytes: second, fault: second < 19 ? 'is cut short' : null });
    });
  const { path, afterMs } = await settle();
  expect(path).toBe('/a/c1/ghostlimit-1.tar');
  expect(afterMs).toBeGreaterThanOrEqual(19_000);
});

test('not longer than the order allows for a container', async () => {
  isFrozen = () => true;
  expect(await settle()).toEqual({ path: null, afterMs: LIMIT_MS });
});

test('a disk that fails shows no archive, and a runtime that fails no frozen container', async () => {
  archives.fault = new Error('EIO');
  isFrozen = () => {
    throw new Error('gone');
  };
  expect((await settle()).path).toBeNull();
});

test('the next process goes on where this one is stopped', async () => {
  isFrozen = () => true;
  time.after(30_000, () => {
    stop.abort();
  });
  expect(await settle()).toEqual({ path: 'Interrupted', afterMs: 30_000 });
});
