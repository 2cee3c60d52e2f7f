import { describe, expect, test } from '@jest/globals';
import type { ContainerResult } from '../../../../src/api/checkpoint-request.ts';
import type { CheckpointOrder } from '../../../../src/node-engine/take-checkpoint.ts';
import type { CheckpointCall } from '../../../../src/ports/container-runtime.ts';
import { aPolicyFor } from '../../../builders/policies.ts';
import { FakeNode } from '../../../fakes/fake-node.ts';

const MI = 2 ** 20;
const JNI = '/tmp/libnetty.so';

/** A container that holds 8 MiB, which the scan sees from the start or only once the first dump has begun. */
async function aNode(
  ghostLimit: unknown,
  seen: 'FromTheStart' | 'DuringTheDump' = 'DuringTheDump',
): Promise<FakeNode> {
  const node = new FakeNode();
  const pid = node.run('web', { [JNI]: 8 * MI }, { app: 'web' });
  node.folder.put('a.yaml', [aPolicyFor('web', ghostLimit, { scope: 'Checkpoint' })]);
  await node.pass();
  if (seen === 'DuringTheDump') {
    node.holds(pid, {});
    onDump(node, () => {
      node.holds(pid, { [JNI]: 8 * MI });
    });
  }
  return node;
}

function onDump(node: FakeNode, act: (dump: number) => void): void {
  const limit = node.runtime.ghostLimitBytes;
  let dumps = 0;
  node.runtime.ghostLimitBytes = () => {
    dumps += 1;
    act(dumps);
    return limit();
  };
}

/** To its end, whatever it waits for. */
async function take(
  node: FakeNode,
  order: Partial<CheckpointOrder> = {},
  timeoutMs = 120_000,
): Promise<ContainerResult> {
  const progress = { isDone: false };
  const taken = node.checkpoint('web', timeoutMs, order).finally(() => {
    progress.isDone = true;
  });
  taken.catch(() => undefined);
  while (!progress.isDone) await node.clock.advance(100);
  return taken;
}

describe('before the dump', () => {
  test.each([[undefined], ['RaiseOnce' as const]])(
    'onGhostLimit %s: an auto target is raised to what the scan asks, and the dump is the first',
    async (onGhostLimit) => {
      const node = await aNode({ auto: { maximum: '16Mi' } }, 'FromTheStart');
      const seen: (readonly string[])[] = [];
      onDump(node, () => seen.push(node.ownLines));
      const order = onGhostLimit === undefined ? {} : { onGhostLimit };
      expect(await take(node, order)).toMatchObject({ result: 'Succeeded', attempts: 1 });
      // 8 MiB and the headroom of 25 %.
      expect(seen).toEqual([['ghost-limit 10485760']]);
      expect(node.conf).toBeNull();
    },
  );

  test('Fail: not raised, not attempted', async () => {
    const node = await aNode({ auto: { maximum: '16Mi' } }, 'FromTheStart');
    const writes = node.measured.length;
    expect(await take(node, { onGhostLimit: 'Fail' })).toMatchObject({
      reason: 'GhostLimitExceeded',
      attempts: 0,
    });
    expect(node.measured.slice(writes).join()).not.toContain('10485760');
  });

  test('within the maximum of the target: else not attempted', async () => {
    const node = await aNode({ auto: { maximum: '4Mi' } }, 'FromTheStart');
    const result = await take(node, { onGhostLimit: 'RaiseOnce' });
    expect(result).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 0 });
    expect(result.hint).toContain('raise ghostLimit.auto.maximum of target web of');
  });

  test('a fixed target is its own maximum', async () => {
    const node = await aNode({ fixed: '4Mi' }, 'FromTheStart');
    expect(await take(node, { onGhostLimit: 'RaiseOnce' })).toMatchObject({
      reason: 'GhostLimitExceeded',
      attempts: 0,
    });
  });

  test('without any target there is nothing to raise within', async () => {
    const node = await aNode({ auto: {} }, 'FromTheStart');
    node.folder.put('a.yaml', []);
    await node.pass();
    expect(await take(node, { onGhostLimit: 'RaiseOnce' })).toMatchObject({
      reason: 'GhostLimitExceeded',
      attempts: 0,
    });
  });

  test('a container that reads a file of its own is dumped as it is', async () => {
    const node = await aNode({ auto: { maximum: '16Mi' } }, 'FromTheStart');
    const given = { id: 'web', criuConfigAnnotation: '/etc/criu/own.conf', labels: { app: 'web' } };
    const { pid } = node.runtime.add(given, [{ path: JNI, bytes: 8 * MI }]);
    node.holds(pid ?? 0, { [JNI]: 8 * MI });
    expect(await take(node)).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 1 });
  });
});

describe('after a dump that failed', () => {
  test('one raise and one second attempt, 2 s after the first has ended', async () => {
    const node = await aNode({ auto: { maximum: '16Mi' } });
    const callsMs: number[] = [];
    const seen: (readonly string[])[] = [];
    onDump(node, () => {
      callsMs.push(node.clock.monotonicMs());
      seen.push(node.ownLines);
    });
    const result = await take(node);
    expect(result).toMatchObject({ name: 'web', result: 'Succeeded', attempts: 2 });
    expect(result.reason).toBeUndefined();
    expect(seen).toEqual([[], ['ghost-limit 10485760']]);
    expect((callsMs[1] ?? 0) - (callsMs[0] ?? 0)).toBeGreaterThanOrEqual(2000);
    expect(node.runtime.calls.map(({ checkpointName }) => checkpointName)).toHaveLength(2);
    expect(new Set(node.runtime.calls.map(({ checkpointName }) => checkpointName)).size).toBe(2);
    expect(node.conf).toBeNull();
    expect(node.measured.filter((call) => call.startsWith('checkpoint '))).toHaveLength(1);
  });

  test('never a third, though the file goes on growing', async () => {
    const node = await aNode({ auto: { maximum: '64Mi' } });
    const pid = (await node.runtime.find('web'))?.pid ?? 0;
    onDump(node, (dump) => {
      node.holds(pid, { [JNI]: 8 * dump * MI });
      node.runtime.add({ id: 'web', labels: { app: 'web' }, pid }, [{ path: JNI, bytes: 20 * MI }]);
    });
    const result = await take(node);
    expect(result).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 2 });
    expect(node.runtime.calls).toHaveLength(2);
    expect(node.conf).toBeNull();
  });

  test('a raise before the dump was the one', async () => {
    const node = await aNode({ auto: { maximum: '64Mi' } }, 'FromTheStart');
    const pid = (await node.runtime.find('web'))?.pid ?? 0;
    node.runtime.add({ id: 'web', labels: { app: 'web' }, pid }, [{ path: JNI, bytes: 20 * MI }]);
    onDump(node, () => {
      node.holds(pid, { [JNI]: 20 * MI });
    });
    expect(await take(node)).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 1 });
  });

  test.each([
    ['Fail', { auto: { maximum: '16Mi' } }, { onGhostLimit: 'Fail' as const }],
    ['a fixed target', { fixed: '4Mi' }, { onGhostLimit: 'RaiseOnce' as const }],
    ['a maximum that would not do', { auto: { maximum: '4Mi' } }, {}],
  ])('%s: no second attempt', async (_sentence, ghostLimit, order) => {
    const node = await aNode(ghostLimit);
    expect(await take(node, order)).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 1 });
  });

  test('the log alone raises nothing: the scan has to see the file', async () => {
    const node = await aNode({ auto: { maximum: '16Mi' } }, 'FromTheStart');
    const pid = (await node.runtime.find('web'))?.pid ?? 0;
    node.holds(pid, {});
    expect(await take(node)).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 1 });
  });

  test.each([
    ['a file that CRIU refuses', 'ConfigInvalid'],
    ['a time-out', 'TimedOut'],
  ])('another failure is never tried again: %s', async (_sentence, reason) => {
    const node = await aNode({ auto: { maximum: '16Mi' } }, 'FromTheStart');
    if (reason === 'ConfigInvalid') node.runtime.configFault = 'Option';
    else node.runtime.hang = Promise.resolve();
    expect(await take(node)).toMatchObject({ reason, attempts: 1 });
  });

  test('lines that cannot be written: no second attempt', async () => {
    const node = await aNode({ auto: { maximum: '16Mi' } });
    onDump(node, () => {
      node.files.fail('create', 'EROFS', { always: true });
    });
    expect(await take(node)).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 1 });
  });

  test('both attempts share the time: the second has what is left, or is not made', async () => {
    const node = await aNode({ auto: { maximum: '16Mi' } });
    onDump(node, (dump) => {
      if (dump === 1) node.clock.jump(4_000);
    });
    expect(await take(node, {}, 10_000)).toMatchObject({ attempts: 2 });
    expect(node.runtime.calls.map(({ timeoutMs }) => timeoutMs)).toEqual([10_000, 4_000]);

    const short = await aNode({ auto: { maximum: '16Mi' } });
    onDump(short, () => {
      short.clock.jump(4_000);
    });
    expect(await take(short, {}, 6_500)).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 1 });
  });
});

describe('beforeCall', () => {
  test('runs before each call, with what is called', async () => {
    const node = await aNode({ auto: { maximum: '16Mi' } });
    const noted: CheckpointCall[] = [];
    const made: number[] = [];
    await take(node, {
      beforeCall: (call) => {
        made.push(node.runtime.calls.length);
        noted.push(call);
        return Promise.resolve();
      },
    });
    expect(noted).toEqual(node.runtime.calls);
    expect(made).toEqual([0, 1]);
  });

  test('rejects: nothing is called, the lines are taken back', async () => {
    const node = await aNode({ fixed: '8Mi' });
    await expect(take(node, { beforeCall: () => Promise.reject(new Error('EIO')) })).rejects.toThrow('EIO');
    expect(node.runtime.calls).toEqual([]);
    expect(node.conf).toBeNull();
    expect(node.state.text('dump-lease.json')).toBeNull();
  });

  test('is not run for what is not attempted', async () => {
    const node = await aNode({ fixed: '4Mi' }, 'FromTheStart');
    const noted: CheckpointCall[] = [];
    await take(node, {
      beforeCall: (call) => {
        noted.push(call);
        return Promise.resolve();
      },
    });
    expect(noted).toEqual([]);
  });
});
