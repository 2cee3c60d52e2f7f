import { afterEach, expect, test } from '@jest/globals';
import { reportTriggers } from '../../../../src/agent/cluster/trigger-source.ts';
import { viewPod } from '../../../../src/api/core-views.ts';
import { PODS } from '../../../../src/api/kube-resources.ts';
import type { NodeOrders, OrderNews } from '../../../../src/ports/order-source.ts';
import { FakeStateStore } from '../../../fakes/fake-state-store.ts';
import { AgentFixture } from './agent-fixture.ts';

let fixture: AgentFixture;
afterEach(() => fixture.end());

function begin(state = new FakeStateStore()) {
  fixture = new AgentFixture();
  const told: OrderNews[] = [];
  let orders: NodeOrders | null = { orders: [], deletions: [], acknowledgedTriggers: [] };
  let onChange = (): void => undefined;
  void reportTriggers(
    {
      pods: fixture.reflect(PODS, viewPod),
      source: {
        read: () => orders,
        watch: (listener) => {
          onChange = listener;
        },
      },
      reports: {
        tell: (news) => {
          told.push(news);
        },
      },
      state,
      clock: fixture.time,
      log: fixture.log,
    },
    fixture.stop.signal,
  );
  const order = async (acknowledgedTriggers: NodeOrders['acknowledgedTriggers'] | null): Promise<void> => {
    orders = acknowledgedTriggers === null ? null : { orders: [], deletions: [], acknowledgedTriggers };
    onChange();
    await fixture.time.advance(1);
  };
  const tokens = (): string[] =>
    (told.at(-1)?.triggers ?? []).map(({ podUID, tokenHash }) => `${podUID} ${tokenHash}`);
  return { told, order, tokens, state };
}

async function pod(uid: string, token: string | null, changes: Record<string, unknown> = {}): Promise<void> {
  fixture.kube.seed(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: uid,
      namespace: 'shop',
      uid,
      ...(token !== null && { annotations: { 'ghostlimit.dev/checkpoint': token } }),
      ...(changes['metadata'] as object | undefined),
    },
    spec: { nodeName: 'n1', containers: [{ name: 'app' }] },
    status: { phase: 'Running', ...(changes['status'] as object | undefined) },
  });
  await fixture.time.advance(1);
}

// printf TOKEN | sha256sum | cut -c1-32
const ONE = '7692c3ad3540bb803c020b3aee66cd88';
const TWO = '3fc4ccfe745870e2c0d99f71f30ff065';

test('each new token of a pod asks once; an earlier one that comes back does not', async () => {
  const { order, tokens } = begin();
  await pod('p', 'one');
  expect(tokens()).toEqual([`p ${ONE}`]);
  await order([{ podUID: 'p', tokenHash: ONE }]);
  expect(tokens()).toEqual([]);
  await pod('p', 'two');
  expect(tokens()).toEqual([`p ${TWO}`]);
  await order([{ podUID: 'p', tokenHash: TWO }]);
  await order([]);
  await pod('p', 'one');
  expect(tokens()).toEqual([]);
  await pod('q', 'one');
  expect(tokens()).toEqual([`q ${ONE}`]);
});

test('a token that the controller was not heard about is told again by the next process', async () => {
  const { state, tokens } = begin();
  await pod('p', 'one');
  expect(tokens()).toHaveLength(1);
  await fixture.end();
  const next = begin(state);
  await pod('p', 'one');
  expect(next.tokens()).toEqual([`p ${ONE}`]);
});

test.each([
  ['no annotation', null, {}],
  ['blanks', '  ', {}],
  ['a pod that does not run yet', 'one', { status: { phase: 'Pending' } }],
  ['a pod that has finished', 'one', { status: { phase: 'Succeeded' } }],
])('%s asks for nothing', async (_what, token, changes) => {
  const { told, tokens } = begin();
  await pod('p', token, changes);
  expect(told.at(-1)?.problems).toEqual([]);
  expect(tokens()).toEqual([]);
});

test('a token that is too long is a problem of the node, until it is gone', async () => {
  const { told, tokens } = begin();
  await pod('p', 'x'.repeat(64));
  expect(tokens()).toEqual([]);
  expect(told.at(-1)?.problems).toEqual([
    {
      origin: 'pod shop/p',
      reason: 'InvalidRequest',
      message:
        'the annotation ghostlimit.dev/checkpoint has 64 characters and is ignored: at most 63 are allowed',
    },
  ]);
  await pod('p', 'x'.repeat(63));
  expect(tokens()).toHaveLength(1);
  expect(told.at(-1)?.problems).toEqual([]);
});

test('of more than 64 the oldest pods come first, and the others when these were heard', async () => {
  const { order, tokens } = begin();
  const old = (age: number) => `2026-11-23T09:${(59 - age).toString().padStart(2, '0')}:00Z`;
  for (let number = 0; number < 66; number += 1)
    await pod(`p${number}`, 'one', { metadata: { creationTimestamp: old(number % 59) } });
  expect(tokens()).toHaveLength(64);
  // The youngest two: those of age 0, of which there are two, one too many, and one of age 1.
  const absent = ['p0', 'p59'].filter((uid) => !tokens().includes(`${uid} ${ONE}`));
  expect(absent).toEqual(['p0', 'p59']);
  await order([
    { podUID: 'p58', tokenHash: ONE },
    { podUID: 'p57', tokenHash: ONE },
  ]);
  expect(tokens()).toContain(`p0 ${ONE}`);
  expect(tokens()).toContain(`p59 ${ONE}`);
});

test('nothing is forgotten while it is not known what stands in the spec', async () => {
  const { order, told } = begin();
  await pod('p', 'one');
  const before = told.length;
  await order(null);
  await pod('p', 'two');
  expect(told).toHaveLength(before);
});

test('a state folder that fails is tried again', async () => {
  const { state, order, tokens } = begin();
  await pod('p', 'one');
  state.fault = new Error('no space');
  await order([{ podUID: 'p', tokenHash: ONE }]);
  expect(tokens()).toEqual([`p ${ONE}`]);
  state.fault = null;
  await fixture.time.advance(20_000);
  expect(tokens()).toEqual([]);
  expect(state.text('heard-triggers.json')).toBe(`{"p":["${ONE}"]}\n`);
});
