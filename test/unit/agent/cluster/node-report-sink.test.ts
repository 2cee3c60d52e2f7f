import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CheckpointNodeStatus } from '../../../../src/api/checkpoint-node.ts';
import { CHECKPOINT_NODES } from '../../../../src/api/kube-resources.ts';
import {
  createNodeReportSink,
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

describe('urgencyFactor', () => {
  const withPlan = (generation: number, agentVersion = '1'): CheckpointNodeStatus => ({
    ...of(agentVersion),
    plans: [{ name: 'plan-09', generation }],
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
  ])('%s', (_what, earlier, wanted, factor) => {
    expect(urgencyFactor(earlier, wanted)).toBe(factor);
  });
});
