import { beforeEach, describe, expect, test } from '@jest/globals';
import { parseNodeSettings } from '../../../../src/api/settings.ts';
import { createArchiveLedger } from '../../../../src/node-engine/archive-ledger.ts';
import { openDocuments } from '../../../../src/node-engine/documents.ts';
import { createArchiveKeeping } from '../../../../src/node-engine/keep-archives.ts';
import { createRemains, type Remains } from '../../../../src/node-engine/orders/clear-remains.ts';
import {
  openOrderLedger,
  startedEntry,
  type LedgerEntry,
} from '../../../../src/node-engine/orders/order-ledger.ts';
import { FakeCheckpointArchives, type FakeArchive } from '../../../fakes/fake-checkpoint-archives.ts';
import { FakeStateStore } from '../../../fakes/fake-state-store.ts';
import { VirtualTime } from '../../../fakes/virtual-time.ts';
import { RecordingLog } from '../../machinery/recording.ts';

const OURS = '/var/lib/ghostlimit/checkpoints';
const KUBELET = '/var/lib/kubelet/checkpoints';
const CALLED = Date.parse('2026-11-23T09:59:50.000Z');
const CALL = {
  name: 'app',
  containerId: 'c1',
  attempt: 1,
  checkpointName: 'ghostlimit-1',
  archiveDirectory: OURS,
  calledAt: new Date(CALLED).toISOString(),
};
const PLANNED = `${OURS}/c1/ghostlimit-1.tar`;
const ORDER = {
  requestUID: 'r1',
  requestNamespace: 'shop',
  requestName: 'a',
  podName: 'p',
  podUID: 'u',
  timeoutSeconds: 120,
};
const CUT = 'is cut short at 1000 bytes';

let time: VirtualTime;
let archives: FakeCheckpointArchives;
let state: FakeStateStore;
let isFrozen: boolean;
let log: RecordingLog;

interface Node {
  readonly remains: Remains;
  readonly left: () => readonly string[];
}

/** As a process finds it that has just started. */
async function start(): Promise<Node> {
  const ledger = await openOrderLedger(state, log);
  const parsed = parseNodeSettings({});
  if (!parsed.ok) throw new Error('no settings');
  const document = openDocuments(state, log).archives;
  const keeping = createArchiveKeeping({
    archives,
    ledger: createArchiveLedger({ document, archives, log }),
    settings: parsed.settings.archives,
    otherDirectories: [KUBELET],
    policies: () => null,
    podUIDs: () => null,
    clock: time,
    log,
  });
  const remains = createRemains({
    archives,
    isFrozen: () => Promise.resolve(isFrozen),
    runtimeDirectories: [KUBELET],
    ledger,
    keeping,
    clock: time,
    log,
  });
  return { remains, left: () => ledger.withRemains().map(({ requestUID }) => requestUID) };
}

async function enter(changes: Partial<LedgerEntry> = {}): Promise<void> {
  const entry = { ...startedEntry(ORDER, ['app'], CALL.calledAt), state: 'Finished' as const };
  await (await openOrderLedger(state, log)).write({ ...entry, remains: [CALL], ...changes });
}

/** Looks as often as it is asked to, for so long; returns for how long something was left to look after, milliseconds. */
async function lookFor(ms: number, { remains, left }: Node): Promise<number> {
  const startMs = time.monotonicMs();
  while (time.monotonicMs() - startMs <= ms && left().length > 0) {
    const nextMs = await remains.look();
    if (nextMs !== Infinity) await time.advance(nextMs);
  }
  return time.monotonicMs() - startMs;
}

const put = (path: string, archive: Partial<FakeArchive> = {}): void => {
  archives.put(path, { modifiedMs: CALLED + 4_000, fault: CUT, ...archive });
};
const recorded = (): unknown[] => JSON.parse(state.text('archives.json') ?? '[]') as unknown[];
const LONG_MS = 3_600_000;

beforeEach(async () => {
  time = new VirtualTime();
  archives = new FakeCheckpointArchives();
  state = new FakeStateStore();
  isFrozen = false;
  log = new RecordingLog();
  await enter();
});

describe('a part of an archive', () => {
  test.each([PLANNED, `${OURS}/c1/ghostlimit-1`, `${OURS}/ghostlimit-1.tar`])(
    'goes once it has not changed for a minute: %s',
    async (path) => {
      put(path);
      expect(await lookFor(LONG_MS, await start())).toBeGreaterThanOrEqual(60_000);
      expect(archives.removed).toEqual([path]);
      expect(await (await start()).remains.look()).toBe(Infinity);
    },
  );

  test('stays as long as it grows', async () => {
    const node = await start();
    for (let second = 0; second < 300; second += 10)
      time.after(second * 1_000, () => {
        put(PLANNED, { sizeBytes: second });
      });
    await lookFor(290_000, node);
    expect(archives.removed).toEqual([]);
    await lookFor(LONG_MS, node);
    expect(archives.removed).toEqual([PLANNED]);
  });

  test('stays as long as the container is frozen', async () => {
    const node = await start();
    isFrozen = true;
    put(PLANNED);
    await lookFor(200_000, node);
    expect(archives.removed).toEqual([]);
    isFrozen = false;
    await lookFor(LONG_MS, node);
    expect(archives.removed).toEqual([PLANNED]);
  });

  test('may come late', async () => {
    time.after(500_000, () => {
      put(PLANNED);
    });
    await lookFor(LONG_MS, await start());
    expect(archives.removed).toEqual([PLANNED]);
  });

  test('is looked after by the next process too', async () => {
    put(PLANNED);
    await lookFor(30_000, await start());
    expect(archives.removed).toEqual([]);
    await lookFor(LONG_MS, await start());
    expect(archives.removed).toEqual([PLANNED]);
  });

  test('stays when it is pinned', async () => {
    put(PLANNED);
    archives.pin(PLANNED);
    const node = await start();
    await lookFor(LONG_MS, node);
    expect(archives.removed).toEqual([]);
    expect(node.left()).toEqual([]);
  });

  test('of another container, of another name and of another folder stays', async () => {
    put(PLANNED, { identity: { containerId: 'c2' } });
    put(`${OURS}/c1/ghostlimit-2.tar`);
    put(`${OURS}/c2/ghostlimit-1.tar`);
    await lookFor(LONG_MS, await start());
    expect(archives.removed).toEqual([]);
  });

  test('a disk that fails is tried again', async () => {
    put(PLANNED);
    archives.fault = new Error('EIO');
    const node = await start();
    await lookFor(120_000, node);
    archives.fault = null;
    await lookFor(LONG_MS, node);
    expect(archives.removed).toEqual([PLANNED]);
  });
});

describe('a whole archive that came late', () => {
  const whole = { fault: null, identity: { containerId: 'c1' } };

  test('is kept for its request', async () => {
    put(PLANNED, whole);
    await lookFor(LONG_MS, await start());
    expect(archives.removed).toEqual([]);
    expect(recorded()).toMatchObject([
      { path: PLANNED, requestUID: 'r1', containerName: 'app', directory: OURS },
    ]);
  });

  test('goes when its request was deleted meanwhile', async () => {
    put(PLANNED, whole);
    const node = await start();
    await node.remains.disown('r1');
    await lookFor(LONG_MS, await start());
    expect(archives.removed).toEqual([PLANNED]);
    expect(recorded()).toEqual([]);
  });
});

describe('in the folder of a kubelet', () => {
  const named = (time: string, start = 'checkpoint-p_shop-app-'): string => `${KUBELET}/${start}${time}.tar`;
  const of = (containerId: string | null): Partial<FakeArchive> => ({ identity: { containerId } });

  test.each<[string, string, Partial<FakeArchive>, boolean]>([
    ['of the second of the call', named('2026-11-23T11:59:50+02:00'), of('c1'), true],
    ['of some seconds after', named('2026-11-23T09:59:58Z'), of('c1'), true],
    ['of before the call', named('2026-11-23T09:59:40Z'), of('c1'), false],
    ['of long after', named('2026-11-23T10:00:20Z'), of('c1'), false],
    ['of no time', named('today'), of('c1'), false],
    ['of another pod', named('2026-11-23T09:59:51Z', 'checkpoint-q_shop-app-'), of('c1'), false],
    ['of another container', named('2026-11-23T09:59:51Z'), of('c2'), false],
    ['that does not say whose it is', named('2026-11-23T09:59:51Z'), of(null), false],
    ['that is whole', named('2026-11-23T09:59:51Z'), { ...of('c1'), fault: null }, false],
  ])('one %s', async (_, path, archive, goes) => {
    put(path, archive);
    await lookFor(LONG_MS, await start());
    expect(archives.removed).toEqual(goes ? [path] : []);
    expect(recorded()).toEqual([]);
  });

  test('of two nobody knows which is ours', async () => {
    put(named('2026-11-23T09:59:50Z'), of('c1'));
    put(named('2026-11-23T09:59:53Z'), of('c1'));
    await lookFor(LONG_MS, await start());
    expect(archives.removed).toEqual([]);
  });

  test('what stays is told', async () => {
    put(named('2026-11-23T09:59:51Z'), of(null));
    await lookFor(LONG_MS, await start());
    expect(log.lines.map(({ message }) => message)).toEqual([
      'part of an archive does not say whose it is, left in place',
    ]);
  });
});

test('without anything there it ends after ten minutes', async () => {
  const tookMs = await lookFor(LONG_MS, await start());
  expect(tookMs).toBeGreaterThanOrEqual(600_000);
  expect(tookMs).toBeLessThan(700_000);
  expect(log.lines).toEqual([]);
});

test('what an order is still at is left to it', async () => {
  await enter({ state: 'Started' });
  put(PLANNED);
  const { remains, left } = await start();
  expect([await remains.look(), left()]).toEqual([Infinity, []]);
});
