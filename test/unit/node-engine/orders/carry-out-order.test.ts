import { expect, test } from '@jest/globals';
import type { ContainerResult } from '../../../../src/api/checkpoint-request.ts';
import type { MadeArchive } from '../../../../src/node-engine/orders/archive-keeping.ts';
import { createCallSpacing } from '../../../../src/node-engine/orders/call-spacing.ts';
import { carryOut, type CarryOutParts } from '../../../../src/node-engine/orders/carry-out-order.ts';
import {
  openOrderLedger,
  startedEntry,
  type LedgerEntry,
} from '../../../../src/node-engine/orders/order-ledger.ts';
import type { OrderedPod } from '../../../../src/ports/order-source.ts';
import { FakeCheckpointArchives } from '../../../fakes/fake-checkpoint-archives.ts';
import { FakeContainerRuntime } from '../../../fakes/fake-container-runtime.ts';
import { FakeStateStore } from '../../../fakes/fake-state-store.ts';
import { VirtualTime } from '../../../fakes/virtual-time.ts';
import { RecordingLog } from '../../machinery/recording.ts';

const DIRECTORY = '/archives';
const ORDER = {
  requestUID: 'r1',
  requestNamespace: 'shop',
  requestName: 'a',
  podName: 'p',
  podUID: 'u',
  timeoutSeconds: 120,
};

class Bench {
  readonly time = new VirtualTime();
  readonly archives = new FakeCheckpointArchives();
  readonly made: MadeArchive[] = [];
  /** Of the checkpoints that are called for, one after the other. */
  readonly names: readonly string[];
  result: Omit<ContainerResult, 'name'> = { result: 'Failed', reason: 'Unclassified', attempts: 1 };

  constructor(names: readonly string[]) {
    this.names = names;
  }

  async run(): Promise<LedgerEntry> {
    const runtime = new FakeContainerRuntime('containerd');
    const labels = { 'io.kubernetes.pod.uid': 'u', 'io.kubernetes.container.name': 'app' };
    const container = runtime.add({ id: 'c1', name: 'app', labels });
    const log = new RecordingLog();
    const ledger = await openOrderLedger(new FakeStateStore(), log);
    const never = (): Promise<never> => Promise.reject(new Error('not called'));
    const here = { kind: 'Regular' as const, pid: container.pid, tolerablePauseSeconds: null };
    const pod: OrderedPod = {
      namespace: 'shop',
      podName: 'p',
      podUID: 'u',
      labels: {},
      owner: null,
      containers: [{ name: 'app', id: 'c1', ...here }],
    };
    const parts: CarryOutParts = {
      pods: { find: () => pod, watch: () => undefined },
      runtimes: [runtime],
      archives: this.archives,
      isFrozen: () => Promise.resolve(false),
      runtimeDirectories: [],
      clock: this.time,
      log,
      ledger,
      spacing: createCallSpacing(this.time),
      onStep: () => undefined,
      keeping: {
        record: (made) => {
          this.made.push(made);
          return Promise.resolve();
        },
        deleteOf: never,
        discard: never,
        retain: never,
        storage: never,
      },
      take: async ({ beforeCall }) => {
        for (const checkpointName of this.names)
          await beforeCall?.({ container, checkpointName, archiveDirectory: DIRECTORY, timeoutMs: 1 });
        return { name: 'app', ...this.result };
      },
    };
    const entry = startedEntry(ORDER, ['app'], new Date(this.time.now()).toISOString());
    const done = carryOut(entry, ORDER, parts, new AbortController().signal);
    await this.time.advance(10_000);
    return done;
  }
}

const remains = ({ remains }: LedgerEntry): string[] => remains.map(({ checkpointName }) => checkpointName);

test('a call that came to nothing is looked after', async () => {
  const done = await new Bench(['one']).run();
  expect([done.state, remains(done), done.open]).toEqual(['Finished', ['one'], null]);
});

test('each of two', async () => {
  expect(remains(await new Bench(['one', 'two']).run())).toEqual(['one', 'two']);
});

test('what was not called left nothing', async () => {
  expect(remains(await new Bench([]).run())).toEqual([]);
});

test('of two calls the one that made the archive is not', async () => {
  const bench = new Bench(['one', 'two']);
  const path = `${DIRECTORY}/c1/two.tar`;
  bench.archives.put(path);
  const archive = { path, sizeBytes: 1000, createdTime: '2026-11-23T10:00:00Z' };
  bench.result = { result: 'Succeeded', archive, attempts: 2 };
  expect(remains(await bench.run())).toEqual(['one']);
  expect(bench.made).toMatchObject([
    { archive: { path }, containerName: 'app', directory: DIRECTORY, order: { requestUID: 'r1' } },
  ]);
});

test('one whose archive is no good is', async () => {
  const bench = new Bench(['one']);
  const path = `${DIRECTORY}/c1/one.tar`;
  bench.archives.put(path, { fault: 'is cut short' });
  const archive = { path, sizeBytes: 1000, createdTime: '2026-11-23T10:00:00Z' };
  bench.result = { result: 'Succeeded', archive, attempts: 1 };
  const done = await bench.run();
  expect([done.containers[0]?.result, remains(done)]).toEqual(['Failed', ['one']]);
  expect(bench.made).toEqual([]);
});
