import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CheckpointNodeStatus, OrderReport } from '../../../../src/api/checkpoint-node.ts';
import { CHECKPOINT_NODES } from '../../../../src/api/kube-resources.ts';
import {
  createNodeReportSink,
  mergeReport,
  REFRESH_MS,
  urgencyFactor,
  type NodeReportSink,
} from '../../../../src/agent/cluster/node-report-sink.ts';
import { AgentFixture } from './agent-fixture.ts';

const REPORT: CheckpointNodeStatus = {
  observedGeneration: 0,
  conditions: [],
  agentVersion: '1',
  runtime: { containerRuntime: '', ociRuntime: '', criuVersion: '', kernelVersion: '' },
  files: [],
  policies: [],
  problems: [],
};
const of = (agentVersion: string): CheckpointNodeStatus => ({ ...REPORT, agentVersion });
const failing: CheckpointNodeStatus = {
  ...REPORT,
  conditions: [
    {
      type: 'Ready',
      status: 'False',
      reason: 'WriteFailed',
      message: 'x',
      lastTransitionTime: '2026-11-23T10:00:00Z',
    },
  ],
};

let fixture: AgentFixture;
let sink: NodeReportSink;
let plans: { name: string; generation: number }[];
let spreadMs: number;

beforeEach(async () => {
  fixture = new AgentFixture();
  plans = [{ name: 'plan-09', generation: 1 }];
  spreadMs = 0;
  sink = createNodeReportSink({
    kube: fixture.kube,
    nodeName: 'n1',
    own: fixture.reflect(CHECKPOINT_NODES, (object) => object, { fieldSelector: 'metadata.name=n1' }),
    plansSeen: () => plans,
    spreadMs: () => spreadMs,
    clock: fixture.time,
    random: () => 0.5,
    log: fixture.log,
  });
  void sink.run(fixture.stop.signal);
  await fixture.time.advance(1);
});
afterEach(() => fixture.end());

const make = (): void => {
  fixture.kube.seed(CHECKPOINT_NODES, {
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointNode',
    metadata: { name: 'n1' },
  });
};
const written = (): CheckpointNodeStatus | undefined =>
  fixture.kube.find(CHECKPOINT_NODES, { name: 'n1' })?.['status'] as CheckpointNodeStatus | undefined;
/** In milliseconds from `from`. */
const writes = (from: number): number[] =>
  fixture.kube
    .callsOf({ verb: 'apply' })
    .map(({ atMs }) => atMs - from)
    .filter((atMs) => atMs >= 0);
const now = (): number => fixture.time.now();
const unreachable = (times: number): void => {
  fixture.kube.faults.next({ verb: 'apply' }, { kind: 'unreachable' }, times);
};

test('the report stands in the status, with the plans seen and the generation of the object', async () => {
  make();
  await fixture.time.advance(1);
  await sink.publish(REPORT);
  await fixture.time.advance(1);
  expect(written()).toMatchObject({
    observedGeneration: 1,
    agentVersion: '1',
    plans: [{ name: 'plan-09', generation: 1 }],
  });
});

test('what came before the object is written when that is made', async () => {
  await sink.publish(REPORT);
  await fixture.time.advance(60_000);
  expect(fixture.kube.callsOf({ verb: 'apply' })).toEqual([]);
  make();
  await fixture.time.advance(1);
  expect(written()?.agentVersion).toBe('1');
});

describe('when it is written', () => {
  beforeEach(async () => {
    make();
    await fixture.time.advance(1);
    await sink.publish(REPORT);
    await fixture.time.advance(1);
  });

  test('the same again is not', async () => {
    const from = now();
    await sink.publish(REPORT);
    await fixture.time.advance(60_000);
    expect(writes(from)).toEqual([]);
  });

  test('nor is what is being written just then', async () => {
    fixture.kube.faults.next({ verb: 'apply' }, { kind: 'delay', ms: 3_000 });
    const from = now();
    await sink.publish(of('2'));
    await fixture.time.advance(1_000);
    await sink.publish(of('2'));
    await fixture.time.advance(60_000);
    expect(writes(from)).toEqual([0]);
  });

  test('news wait their turn in the spread, and the last one wins', async () => {
    spreadMs = 10_000;
    const from = now();
    await sink.publish(of('2'));
    await fixture.time.advance(4_000);
    await sink.publish(of('3'));
    await fixture.time.advance(60_000);
    expect(writes(from)).toEqual([5_000]);
    expect(written()?.agentVersion).toBe('3');
  });

  test('a failure does not wait', async () => {
    spreadMs = 10_000;
    const from = now();
    await sink.publish(of('2'));
    await sink.publish(failing);
    await fixture.time.advance(60_000);
    expect(writes(from)).toEqual([0]);
  });

  test('that a plan was read, and nothing else, waits ten times as long', async () => {
    spreadMs = 10_000;
    const from = now();
    plans = [{ name: 'plan-09', generation: 2 }];
    await sink.publish(REPORT);
    await fixture.time.advance(200_000);
    expect(writes(from)).toEqual([50_000]);
    expect(written()?.plans).toEqual(plans);
  });

  test('a new generation of the object is answered', async () => {
    const spec = { orders: [], deletions: [{ requestUID: 'r1' }] };
    await fixture.kube.direct.mergePatch(
      CHECKPOINT_NODES,
      { name: 'n1' },
      { spec },
      { fieldManager: 'test' },
    );
    await fixture.time.advance(1);
    expect(written()?.observedGeneration).toBe(2);
  });

  test('every ten minutes, whatever others made of it', async () => {
    const from = now();
    await fixture.kube.direct.mergePatch(
      CHECKPOINT_NODES,
      { name: 'n1' },
      { status: { agentVersion: 'forged' } },
      { fieldManager: 'x', subresource: 'status' },
    );
    await fixture.time.advance(3 * REFRESH_MS);
    expect(writes(from)).toEqual([REFRESH_MS - 1, 2 * REFRESH_MS - 1, 3 * REFRESH_MS - 1]);
    expect(written()?.agentVersion).toBe('1');
  });

  test('after a failed call with a growing pause, at most a minute', async () => {
    const from = now();
    unreachable(9);
    await sink.publish(of('2'));
    await fixture.time.advance(600_000);
    expect(writes(from).slice(0, 10)).toEqual([
      0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000, 123_000, 183_000, 243_000,
    ]);
    expect(written()?.agentVersion).toBe('2');
    expect(
      fixture.log.messages('warn').filter((message) => message === 'report not written, trying again'),
    ).toHaveLength(9);
  });

  test('news during that pause do not cut it short, and are written at its end', async () => {
    const from = now();
    unreachable(4);
    await sink.publish(of('2'));
    await fixture.time.advance(7_500);
    await sink.publish(of('3'));
    await fixture.time.advance(60_000);
    expect(writes(from)).toEqual([0, 1_000, 3_000, 7_000, 15_000]);
    expect(written()?.agentVersion).toBe('3');
  });

  test('a refresh that fails has its pauses too', async () => {
    const from = now() + REFRESH_MS - 1;
    unreachable(3);
    await fixture.time.advance(REFRESH_MS + 10_000);
    expect(writes(from)).toEqual([0, 1_000, 3_000, 7_000]);
  });

  test('nothing is tried while the object is away, however long; one made anew gets the report at once', async () => {
    const from = now();
    await fixture.kube.direct.delete(CHECKPOINT_NODES, { name: 'n1' });
    await fixture.time.advance(3 * REFRESH_MS);
    expect(writes(from)).toEqual([]);
    make();
    await fixture.time.advance(1);
    expect(written()?.agentVersion).toBe('1');
  });

  test('an object that went while a try was due does not stop the next one', async () => {
    unreachable(1);
    await sink.publish(of('2'));
    await fixture.time.advance(1);
    await fixture.kube.direct.delete(CHECKPOINT_NODES, { name: 'n1' });
    await fixture.time.advance(10_000);
    make();
    await fixture.time.advance(1);
    expect(written()?.agentVersion).toBe('2');
  });
});

describe('what orders have to say', () => {
  const running: CheckpointNodeStatus['orders'] = [{ requestUID: 'r1', state: 'Running', containers: [] }];
  const spread = async (): Promise<void> => {
    make();
    await fixture.time.advance(1);
    await sink.publish(REPORT);
    await fixture.time.advance(1);
    spreadMs = 60_000;
  };
  /** What came of it so far. */
  const outcome = (promise: Promise<unknown>): { is: string } => {
    const seen = { is: 'open' };
    promise.then(
      () => (seen.is = 'taken'),
      (error: unknown) => (seen.is = String(error)),
    );
    return seen;
  };

  test('is written at once, and who waits hears when the API server has it', async () => {
    await spread();
    fixture.kube.faults.next({ verb: 'apply' }, { kind: 'delay', ms: 3_000 });
    const news = outcome(sink.orders.publish({ orders: running }));
    await fixture.time.advance(2_900);
    expect(news.is).toBe('open');
    await fixture.time.advance(200);
    expect(news.is).toBe('taken');
    expect(written()?.orders).toEqual(running);
    expect(written()?.agentVersion).toBe('1');
  });

  test('is told by whoever does not wait at once, too', async () => {
    await spread();
    const from = now();
    sink.orders.tell({ deletions: [{ requestUID: 'r1', state: 'Deleted' }] });
    await fixture.time.advance(60_000);
    expect(writes(from)).toEqual([0]);
  });

  test('that the API server has already costs no call', async () => {
    await spread();
    await sinkTakes({ orders: running });
    const from = now();
    await sinkTakes({ orders: running });
    expect(writes(from)).toEqual([]);
  });

  async function sinkTakes(news: Parameters<NodeReportSink['orders']['publish']>[0]): Promise<void> {
    const seen = outcome(sink.orders.publish(news));
    await fixture.time.advance(1_000);
    expect(seen.is).toBe('taken');
  }

  test('does not wait for the pause after a failure, and who waits is told after 10 s', async () => {
    await spread();
    unreachable(99);
    await sink.publish(failing);
    await fixture.time.advance(2_000);
    const from = now();
    const news = outcome(sink.orders.publish({ orders: running }));
    await fixture.time.advance(9_000);
    expect(writes(from)[0]).toBe(0);
    expect(news.is).toBe('open');
    await fixture.time.advance(1_500);
    expect(news.is).toBe('Error: the API server did not take the report within 10000 ms');
  });

  test('is not lost when nobody waits any more', async () => {
    await spread();
    unreachable(6);
    void sink.orders.publish({ orders: running }).catch(() => undefined);
    await fixture.time.advance(120_000);
    expect(written()?.orders).toEqual(running);
  });

  test('and what stands there of orders stays until somebody says something else, also before the first pass', async () => {
    fixture.kube.seed(CHECKPOINT_NODES, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointNode',
      metadata: { name: 'n1' },
      status: { ...of('old'), orders: running, storage: { archives: 1, bytes: 2, freeBytes: 3 } },
    });
    await fixture.time.advance(1);
    sink.orders.tell({ deletions: [{ requestUID: 'r2', state: 'Kept' }] });
    await fixture.time.advance(1);
    expect(written()).toMatchObject({ agentVersion: 'old', orders: running, deletions: [{ state: 'Kept' }] });
    await sink.publish(REPORT);
    await fixture.time.advance(1);
    expect(written()).toMatchObject({ agentVersion: '1', orders: running, storage: { archives: 1 } });
    sink.orders.tell({ orders: [], deletions: [] });
    await fixture.time.advance(1);
    expect(written()).not.toHaveProperty('orders');
    expect(written()).not.toHaveProperty('deletions');
  });

  test('problems of orders stand beside those of the engine', () => {
    const problem = (origin: string) => ({ origin, reason: 'ReadFailed', message: 'x' });
    const report = { ...REPORT, problems: [problem('policies')] };
    expect(mergeReport(report, { problems: [problem('pod a')] }, null).problems).toEqual([
      problem('policies'),
      problem('pod a'),
    ]);
  });
});

describe('urgencyFactor', () => {
  const withPlan = (generation: number, agentVersion = '1'): CheckpointNodeStatus => ({
    ...of(agentVersion),
    plans: [{ name: 'plan-09', generation }],
  });
  const finished: OrderReport = { requestUID: 'r1', state: 'Finished', containers: [] };
  const withStorage = (archives: number, freeBytes: number): CheckpointNodeStatus => ({
    ...REPORT,
    storage: { archives, bytes: 1, freeBytes },
  });
  const refused: CheckpointNodeStatus = {
    ...REPORT,
    files: [
      {
        path: '/etc/criu/runc.conf',
        state: 'ForeignLineInvalid',
        verdict: 'Refused',
        effectiveLimitBytes: 0,
        desiredLimitBytes: 0,
        managed: false,
        findings: [],
      },
    ],
  };
  test.each<[string, CheckpointNodeStatus | null, CheckpointNodeStatus, number | null]>([
    ['the same', REPORT, REPORT, null],
    ['the first', null, REPORT, 1],
    ['the first, a failure', null, failing, 0],
    ['a failure', REPORT, failing, 0],
    ['a file that CRIU refuses', REPORT, refused, 0],
    ['a failure that goes on', failing, { ...failing, agentVersion: '2' }, 1],
    ['an end of a failure', failing, REPORT, 1],
    ['other news', REPORT, of('2'), 1],
    ['a plan alone', withPlan(1), withPlan(2), 10],
    ['a plan, and news', withPlan(1), withPlan(2, '2'), 1],
    ['an order', REPORT, { ...REPORT, orders: [finished] }, 0],
    ['an order among the first news', null, { ...REPORT, orders: [finished] }, 0],
    ['an order that has gone', { ...REPORT, orders: [finished] }, REPORT, 0],
    ['no orders, said in another way', { ...REPORT, orders: [] }, { ...REPORT, agentVersion: '2' }, 1],
    ['a deletion', REPORT, { ...REPORT, deletions: [{ requestUID: 'r1', state: 'Deleted' }] }, 0],
    [
      'a trigger',
      REPORT,
      { ...REPORT, triggers: [{ podUID: 'p', podName: 'p', namespace: 'n', tokenHash: 'h' }] },
      0,
    ],
    ['free space alone', withStorage(1, 5), withStorage(1, 4), null],
    ['an archive', withStorage(1, 5), withStorage(2, 5), 1],
    [
      'a plan and free space',
      { ...withStorage(1, 5), plans: [{ name: 'a', generation: 1 }] },
      { ...withStorage(1, 4), plans: [{ name: 'a', generation: 2 }] },
      10,
    ],
  ])('%s', (_what, earlier, wanted, factor) => {
    expect(urgencyFactor(earlier, wanted)).toBe(factor);
  });
});
