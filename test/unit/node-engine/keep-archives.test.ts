import { beforeEach, describe, expect, test } from '@jest/globals';
import type { PlanPolicy, PlanRetention } from '../../../src/api/checkpoint-plan.ts';
import { parseNodeSettings, type NodeSettings } from '../../../src/api/settings.ts';
import { createArchiveLedger, type ArchiveLedger } from '../../../src/node-engine/archive-ledger.ts';
import { openDocuments } from '../../../src/node-engine/documents.ts';
import { createArchiveKeeping } from '../../../src/node-engine/keep-archives.ts';
import type { ArchiveKeeping } from '../../../src/node-engine/orders/archive-keeping.ts';
import { aPlanPolicy } from '../../builders/policies.ts';
import { FakeCheckpointArchives, type FakeArchive } from '../../fakes/fake-checkpoint-archives.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';
import { FakeStateStore } from '../../fakes/fake-state-store.ts';

const OURS = '/var/lib/ghostlimit/checkpoints';
const KUBELET = '/var/lib/kubelet/checkpoints';
const MINUTE_MS = 60_000;

class Node {
  readonly archives = new FakeCheckpointArchives();
  readonly state = new FakeStateStore();
  readonly clock = new FakeClock();
  readonly said: string[] = [];
  settings: NodeSettings['archives'] = settingsOf({ minFreePercent: 0 });
  policies: readonly PlanPolicy[] | null = [];
  podUIDs: ReadonlySet<string> | null = new Set(['pod-1', 'pod-2']);

  readonly #log = {
    debug: () => undefined,
    info: (message: string) => void this.said.push(message),
    warn: (message: string) => void this.said.push(message),
    error: (message: string) => void this.said.push(message),
  };
  readonly ledger: ArchiveLedger = createArchiveLedger({
    document: openDocuments(this.state, this.#log).archives,
    archives: this.archives,
    log: this.#log,
  });

  keeping(): ArchiveKeeping {
    return createArchiveKeeping({
      archives: this.archives,
      ledger: this.ledger,
      settings: this.settings,
      otherDirectories: [KUBELET],
      policies: () => this.policies,
      podUIDs: () => this.podUIDs,
      clock: this.clock,
      log: this.#log,
    });
  }

  /** An archive that we made `minutes` ago; of policy shop/p unless told otherwise. */
  async made(path: string, minutes: number, of: Partial<Made> = {}): Promise<void> {
    const { requestUID = 'r1', podUID = 'pod-1', policyName = 'p', containerName = 'app' } = of;
    const { directory } = this.settings;
    this.put(path, minutes, of);
    const archive = await this.archives.inspect(path);
    if (archive === null) throw new Error('not put');
    const order = { requestUID, requestNamespace: 'shop', policyName, podUID, podName: 'any' };
    await this.keeping().record({ archive, order, containerName, directory });
  }

  put(path: string, minutes: number, of: Partial<FakeArchive> = {}): void {
    const modifiedMs = this.clock.now() - minutes * MINUTE_MS;
    this.archives.put(path, { sizeBytes: 100, ...of, modifiedMs });
  }

  policy(retention: PlanRetention | null, name = 'p'): PlanPolicy {
    return aPlanPolicy({ namespace: 'shop', name, ...(retention !== null && { retention }) });
  }
}

interface Made extends FakeArchive {
  readonly requestUID: string;
  readonly podUID: string;
  readonly policyName: string | null;
  readonly containerName: string;
}

function settingsOf(changes: Record<string, unknown>): NodeSettings['archives'] {
  const parsed = parseNodeSettings({ archives: changes });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings.archives;
}

let node: Node;
beforeEach(() => {
  node = new Node();
});

const recorded = async (): Promise<string[]> => (await node.ledger.list()).map(({ path }) => path);

/** Five archives of one container, the oldest first. */
const FIVE = [5, 4, 3, 2, 1].map((minutes) => `${OURS}/c1/m${minutes}.tar`);
async function makeFive(of: Partial<Made> = {}): Promise<void> {
  for (const [index, path] of FIVE.entries()) await node.made(path, 5 - index, of);
}

describe('a retention pass', () => {
  test('leaves exactly keepLast, in the folder and in the ledger', async () => {
    await makeFive();
    node.policies = [node.policy({ keepLast: 3 })];
    await node.keeping().retain();
    expect(node.archives.removed).toEqual(FIVE.slice(0, 2));
    expect(node.archives.paths()).toEqual(FIVE.slice(2).sort());
    expect(await recorded()).toEqual(FIVE.slice(2));
    await node.keeping().retain();
    expect(node.archives.paths()).toHaveLength(3);
  });

  test.each<[string, () => void]>([
    ['while no plan was read', () => (node.policies = null)],
    ['while the pods are not known', () => (node.podUIDs = null)],
    ['when the policy is not in the plan', () => (node.policies = [node.policy({ keepLast: 1 }, 'q')])],
    ['when the policy keeps all', () => (node.policies = [node.policy(null)])],
    ['when the disk cannot be read', () => (node.archives.fault = new Error('EIO'))],
  ])('deletes nothing %s', async (_, change) => {
    await makeFive();
    node.policies = [node.policy({ keepLast: 1, maxAgeSeconds: 1, maxTotalSizeBytes: 1 })];
    change();
    await node.keeping().retain();
    expect(node.archives.removed).toEqual([]);
    expect(await recorded()).toEqual(FIVE);
  });

  test('deletes nothing when the ledger cannot be read, or is unreadable', async () => {
    await makeFive();
    node.policies = [node.policy({ keepLast: 1 })];
    node.state.fault = new Error('EIO');
    await expect(node.keeping().retain()).rejects.toThrow('EIO');
    node.state.fault = null;
    await node.state.write('archives.json', Buffer.from('{"half'));
    await node.keeping().retain();
    expect(node.archives.removed).toEqual([]);
  });

  test('one that cannot be looked at neither goes nor makes another go', async () => {
    await makeFive();
    node.archives.faults.set(FIVE[4] ?? '', new Error('EIO'));
    node.policies = [node.policy({ keepLast: 1 })];
    await node.keeping().retain();
    expect(node.archives.paths()).toEqual([FIVE[4], FIVE[3]].sort());
    expect(await recorded()).toEqual(FIVE.slice(3));
    expect(node.said).toContain('archive cannot be looked at, left out of retention');
  });

  test('once the pod is gone only age counts', async () => {
    await makeFive();
    node.policies = [node.policy({ keepLast: 1, maxAgeSeconds: 210 })];
    node.podUIDs = new Set();
    await node.keeping().retain();
    expect(node.archives.removed).toEqual(FIVE.slice(0, 2));
  });

  test('a pinned one stays', async () => {
    await makeFive();
    node.archives.pin(FIVE[0] ?? '');
    node.policies = [node.policy({ keepLast: 3 })];
    await node.keeping().retain();
    expect(node.archives.removed).toEqual([FIVE[1]]);
    expect(await recorded()).toContain(FIVE[0]);
  });

  test('the ledger forgets what is gone or replaced, and never deletes what took the place', async () => {
    await makeFive();
    node.archives.drop(FIVE[1] ?? '');
    node.put(FIVE[0] ?? '', 5);
    node.policies = [node.policy({ keepLast: 1 })];
    await node.keeping().retain();
    expect(await recorded()).toEqual([FIVE[4]]);
    expect(node.archives.paths()).toEqual([FIVE[0], FIVE[4]].sort());
  });

  test('after a reboot the file system may have another number: the archives are still ours', async () => {
    await makeFive();
    node.archives.renumber(4711);
    await node.keeping().retain();
    expect((await node.ledger.list()).map(({ device }) => device)).toEqual([4711, 4711, 4711, 4711, 4711]);
    node.policies = [node.policy({ keepLast: 4 })];
    await node.keeping().retain();
    expect(node.archives.removed).toEqual([FIVE[0]]);
  });

  test('one that cannot be deleted stays in the ledger, the others go', async () => {
    await makeFive();
    node.archives.makeLink(`${OURS}/c1`);
    await node.made(`${KUBELET}/old.tar`, 60, { podUID: 'pod-2' });
    await node.made(`${KUBELET}/new.tar`, 50, { podUID: 'pod-2' });
    node.policies = [node.policy({ keepLast: 1 })];
    await node.keeping().retain();
    expect(node.archives.removed).toEqual([`${KUBELET}/old.tar`]);
    expect(await recorded()).toEqual([`${KUBELET}/new.tar`, ...FIVE]);
    expect(node.said).toContain('archive not deleted, trying again later');
  });

  test('one outside all directories stays, and counts', async () => {
    await makeFive();
    const before = FIVE.map((path) => path.replace(OURS, '/elsewhere/deep'));
    for (const [index, path] of before.entries()) await node.made(path, 15 - index);
    node.settings = settingsOf({ maxTotalSize: 1, minFreePercent: 0 });
    await node.keeping().retain();
    expect(node.archives.removed).toEqual(FIVE);
    expect(await node.keeping().storage()).toMatchObject({ archives: 5, bytes: 500 });
  });

  test('one in the directory that was that of the settings when it was made goes as others do', async () => {
    await makeFive();
    node.settings = settingsOf({ directory: '/data/archives', minFreePercent: 0 });
    await node.made('/data/archives/c1/new.tar', 0);
    node.policies = [node.policy({ keepLast: 2 })];
    await node.keeping().retain();
    expect(node.archives.removed).toEqual(FIVE.slice(0, 4));
    expect((await node.ledger.list()).map(({ directory }) => directory)).toEqual([OURS, '/data/archives']);
  });

  test('by the bounds of the node also without a plan', async () => {
    await makeFive();
    node.policies = null;
    node.settings = settingsOf({ maxTotalSize: 200, minFreePercent: 0 });
    await node.keeping().retain();
    expect(node.archives.removed).toEqual(FIVE.slice(0, 3));
  });

  test('until so much is free as the node asks for', async () => {
    await makeFive();
    node.archives.disk = { freeBytes: 149_850, totalBytes: 1_000_000 };
    node.settings = settingsOf({ minFreePercent: 15 });
    await node.keeping().retain();
    expect(node.archives.removed).toEqual(FIVE.slice(0, 2));
    expect(node.archives.disk.freeBytes).toBe(150_050);
  });

  test('free space that cannot be told lets nothing go', async () => {
    await makeFive();
    node.archives.disk = { freeBytes: 0, totalBytes: 1_000_000 };
    node.archives.faults.set(`${OURS}/c1`, new Error('EIO'));
    node.settings = settingsOf({ minFreePercent: 15 });
    await node.keeping().retain();
    expect(node.archives.removed).toEqual([]);
  });
});

describe("others' archives", () => {
  const foreign = `${KUBELET}/checkpoint-x.tar`;
  beforeEach(() => {
    node.put(foreign, 60, { identity: { podUID: 'pod-9', containerName: 'x' } });
  });

  test('are left alone, and not counted', async () => {
    node.settings = settingsOf({ maxTotalSize: 1, minFreePercent: 0 });
    await node.keeping().retain();
    expect(node.archives.paths()).toEqual([foreign]);
    expect(await node.keeping().storage()).toEqual({ archives: 0, bytes: 0, freeBytes: 500_000 });
  });

  test('are counted and deleted, oldest first, where they are managed', async () => {
    await makeFive();
    const keep = { others: 'manage', minFreePercent: 0 };
    node.settings = settingsOf(keep);
    const keeping = node.keeping();
    await keeping.retain();
    expect(await keeping.storage()).toMatchObject({ archives: 6, bytes: 600 });
    node.settings = settingsOf({ ...keep, maxTotalSize: 500 });
    await node.keeping().retain();
    expect(node.archives.removed).toEqual([foreign]);
  });

  test('in our own directory are counted, told of once and left alone: they may be ours, from before the state folder was lost', async () => {
    await makeFive();
    await node.state.remove('archives.json');
    node.settings = settingsOf({ maxTotalSize: 1, minFreePercent: 0 });
    node.put(`${OURS}/r/ghostlimit-folder`, 40);
    node.put(`${OURS}/flat.tar`, 40);
    await node.clock.advance(20 * MINUTE_MS);
    const keeping = node.keeping();
    await keeping.retain();
    await keeping.retain();
    expect(node.archives.removed).toEqual([]);
    expect(await keeping.storage()).toMatchObject({ archives: 7, bytes: 700 });
    expect(node.said).toEqual(['archives that the ledger does not know are counted and left alone']);
    node.settings = settingsOf({ maxTotalSize: 300, minFreePercent: 0, others: 'manage' });
    await node.keeping().retain();
    expect(node.archives.paths()).toHaveLength(3);
  });

  test('are left alone while they may not be finished', async () => {
    node.put(`${KUBELET}/growing.tar`, 9);
    node.settings = settingsOf({ others: 'manage', maxTotalSize: 1, minFreePercent: 0 });
    await node.keeping().retain();
    expect(node.archives.removed).toEqual([foreign]);
  });

  test('a directory that cannot be listed takes no part', async () => {
    node.archives.faults.set(KUBELET, new Error('EIO'));
    node.settings = settingsOf({ others: 'manage', maxTotalSize: 1, minFreePercent: 0 });
    await node.keeping().retain();
    expect(node.archives.removed).toEqual([]);
    expect(node.said).toContain('archives cannot be listed, left out of retention');
  });

  test('ours among them are ours', async () => {
    await node.made(`${KUBELET}/ours.tar`, 90);
    node.settings = settingsOf({ others: 'manage', maxTotalSize: 200, minFreePercent: 0 });
    const keeping = node.keeping();
    await keeping.retain();
    expect(node.archives.removed).toEqual([]);
    expect(await keeping.storage()).toMatchObject({ archives: 2, bytes: 200 });
  });
});

describe('deleting what a request made', () => {
  test('deletes that, and nothing else', async () => {
    await node.made(`${OURS}/c1/a.tar`, 5);
    await node.made(`${OURS}/c2/b.tar`, 4, { containerName: 'side' });
    await node.made(`${OURS}/c1/c.tar`, 3, { requestUID: 'r2' });
    expect(await node.keeping().deleteOf('r1')).toEqual({ state: 'Deleted' });
    expect(node.archives.paths()).toEqual([`${OURS}/c1/c.tar`]);
    expect(await recorded()).toEqual([`${OURS}/c1/c.tar`]);
  });

  test('nothing left is Deleted, also when others deleted it', async () => {
    expect(await node.keeping().deleteOf('unknown')).toEqual({ state: 'Deleted' });
    await node.made(`${OURS}/c1/a.tar`, 5);
    node.archives.drop(`${OURS}/c1/a.tar`);
    expect(await node.keeping().deleteOf('r1')).toEqual({ state: 'Deleted' });
    expect(await recorded()).toEqual([]);
  });

  test('another file of the path is not ours to delete', async () => {
    await node.made(`${KUBELET}/a.tar`, 5);
    node.put(`${KUBELET}/a.tar`, 5);
    expect(await node.keeping().deleteOf('r1')).toEqual({ state: 'Deleted' });
    expect(node.archives.paths()).toEqual([`${KUBELET}/a.tar`]);
  });

  test('what is pinned is Kept, the rest goes; without the pin it goes too', async () => {
    await node.made(`${OURS}/c1/a.tar`, 5);
    await node.made(`${OURS}/c1/b.tar`, 4);
    node.archives.pin(`${OURS}/c1/a.tar`);
    expect(await node.keeping().deleteOf('r1')).toEqual({
      state: 'Kept',
      message: `${OURS}/c1/a.tar is kept: ${OURS}/c1/a.tar.keep is there`,
    });
    expect(node.archives.paths()).toEqual([`${OURS}/c1/a.tar`]);
    node.archives.unpin(`${OURS}/c1/a.tar`);
    expect(await node.keeping().deleteOf('r1')).toEqual({ state: 'Deleted' });
    expect(node.archives.paths()).toEqual([]);
  });

  test('a fault is Failed, with what it is; the rest goes, and it can be tried again', async () => {
    await node.made(`${OURS}/c1/a.tar`, 5);
    await node.made(`${OURS}/c1/b.tar`, 4);
    node.archives.faults.set(`${OURS}/c1/a.tar`, new Error('EIO: input/output error'));
    expect(await node.keeping().deleteOf('r1')).toEqual({
      state: 'Failed',
      message: `${OURS}/c1/a.tar: EIO: input/output error`,
    });
    expect(node.archives.paths()).toEqual([`${OURS}/c1/a.tar`]);
    node.archives.faults.clear();
    expect(await node.keeping().deleteOf('r1')).toEqual({ state: 'Deleted' });
  });

  test('a record outside the directories is not followed', async () => {
    await node.made('/etc/precious/deep/a.tar', 5);
    expect(await node.keeping().deleteOf('r1')).toEqual({
      state: 'Failed',
      message: '/etc/precious/deep/a.tar: /etc/precious/deep/a.tar is not in a directory of archives',
    });
    expect(node.archives.paths()).toEqual(['/etc/precious/deep/a.tar']);
  });

  test('in the directory of archives of when it was made, whatever the settings say now', async () => {
    await node.made(`${OURS}/c1/a.tar`, 5);
    await node.made(`${OURS}/b.tar`, 5);
    node.settings = settingsOf({ directory: '/data/archives' });
    expect(await node.keeping().deleteOf('r1')).toEqual({ state: 'Deleted' });
    expect(node.archives.paths()).toEqual([]);
  });

  test('but not in another that lies there, and not another file', async () => {
    await node.made(`${OURS}/c1/deeper/a.tar`, 5);
    await node.made(`${OURS}/c1/b.tar`, 5, { requestUID: 'r2' });
    node.put(`${OURS}/c1/b.tar`, 5);
    node.settings = settingsOf({ directory: '/data/archives' });
    expect(await node.keeping().deleteOf('r1')).toMatchObject({ state: 'Failed' });
    expect(await node.keeping().deleteOf('r2')).toEqual({ state: 'Deleted' });
    expect(node.archives.paths()).toEqual([`${OURS}/c1/b.tar`, `${OURS}/c1/deeper/a.tar`]);
  });

  test('a message has its bounds', async () => {
    for (let index = 0; index < 30; index += 1) await node.made(`/outside/deep/deeper/${index}.tar`, 5);
    const { state, message } = await node.keeping().deleteOf('r1');
    expect([state, message?.length]).toEqual(['Failed', 1024]);
  });

  test('after a reboot with another number of the file system', async () => {
    await node.made(`${OURS}/c1/a.tar`, 5);
    node.archives.renumber(4711);
    expect(await node.keeping().deleteOf('r1')).toEqual({ state: 'Deleted' });
    expect(node.archives.paths()).toEqual([]);
  });
});

describe('what a call left', () => {
  const discard = async (path: string, directory = OURS): Promise<string> => {
    const file = await node.archives.inspect(path);
    return file === null ? 'nothing there' : await node.keeping().discard(file, directory);
  };

  test('goes, when it is right inside the directory or in a folder there', async () => {
    for (const path of [`${OURS}/a.tar`, `${OURS}/c1/a.tar`]) {
      node.put(path, 5, { fault: 'is cut short' });
      expect(await discard(path)).toBe('Removed');
    }
    node.put('/old/c1/a.tar', 5);
    expect(await discard('/old/c1/a.tar', '/old')).toBe('Removed');
    node.put(`${OURS}/c1/deeper/a.tar`, 5);
    await expect(discard(`${OURS}/c1/deeper/a.tar`)).rejects.toThrow('is not in a directory of archives');
  });

  test('stays when it is of a request, or pinned', async () => {
    await node.made(`${OURS}/c1/a.tar`, 5);
    expect(await discard(`${OURS}/c1/a.tar`)).toBe('Recorded');
    node.put(`${OURS}/c1/b.tar`, 5);
    node.archives.pin(`${OURS}/c1/b.tar`);
    expect(await discard(`${OURS}/c1/b.tar`)).toBe('Pinned');
    expect(node.archives.removed).toEqual([]);
  });
});

test('the same archive recorded again changes nothing', async () => {
  await node.made(`${OURS}/c1/a.tar`, 5, { policyName: null });
  const archive = await node.archives.inspect(`${OURS}/c1/a.tar`);
  if (archive === null) throw new Error('not put');
  const before = await node.ledger.list();
  const order = {
    requestUID: 'r1',
    requestNamespace: 'shop',
    policyName: null,
    podUID: 'pod-1',
    podName: 'any',
  };
  await node.keeping().record({ archive, order, containerName: 'app', directory: OURS });
  expect(await node.ledger.list()).toEqual(before);
  expect(before).toMatchObject([{ requestUID: 'r1', policy: null, podUID: 'pod-1', containerName: 'app' }]);
});
