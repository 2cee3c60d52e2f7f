import { expect, test } from '@jest/globals';
import {
  FINISHED_KEPT,
  isRequestUID,
  openOrderLedger,
  orderReport,
  refusedEntry,
  startedEntry,
} from '../../../../src/node-engine/orders/order-ledger.ts';
import { FakeStateStore } from '../../../fakes/fake-state-store.ts';
import { RecordingLog } from '../../machinery/recording.ts';

const order = (requestUID: string) => ({
  requestUID,
  requestNamespace: 'shop',
  requestName: 'a',
  podName: 'p',
  podUID: 'u',
  timeoutSeconds: 120,
});
const AT = '2026-11-23T10:00:00.000Z';
const open = (state: FakeStateStore) => openOrderLedger(state, new RecordingLog());

test('what was started is known to the next process, with the call that is open', async () => {
  const state = new FakeStateStore();
  const call = {
    name: 'app',
    containerId: 'c1',
    attempt: 1,
    checkpointName: 'ghostlimit-1',
    archiveDirectory: '/a',
    calledAt: AT,
  };
  const entry = { ...startedEntry(order('r1'), ['app', 'side'], AT), open: call };
  await (await open(state)).write(entry);
  const next = await open(state);
  expect(next.has('r1')).toBe(true);
  expect(next.unfinished()).toEqual([entry]);
  await next.write({ ...entry, open: null, state: 'Finished', completionTime: AT });
  expect(next.unfinished()).toEqual([]);
  expect((await open(state)).has('r1')).toBe(true);
});

test('what is not on the disk was not started', async () => {
  const state = new FakeStateStore();
  const ledger = await open(state);
  state.fault = new Error('no space');
  await expect(ledger.write(startedEntry(order('r1'), ['app'], AT))).rejects.toThrow('no space');
  expect(ledger.has('r1')).toBe(false);
  expect(ledger.unfinished()).toEqual([]);
});

test('an entry that cannot be read is an order that is never run again, of unknown outcome', async () => {
  const state = new FakeStateStore();
  await state.write('order-r1.json', Buffer.from('{"state":'));
  const ledger = await open(state);
  expect(ledger.has('r1')).toBe(true);
  const entry = await ledger.read('r1');
  expect(entry === null ? null : orderReport(entry)).toMatchObject({
    requestUID: 'r1',
    state: 'Finished',
    containers: [{ name: '*', result: 'Unknown', reason: 'OutcomeUnknown' }],
  });
});

test('of finished requests whose order has gone the last 1,000 are remembered; those that stand, and open ones, always', async () => {
  const state = new FakeStateStore();
  const ledger = await open(state);
  const time = (second: number): string => new Date(Date.parse(AT) + second * 1000).toISOString();
  await ledger.write(startedEntry(order('open'), ['app'], AT));
  for (let number = 0; number < FINISHED_KEPT + 3; number += 1)
    await ledger.write(refusedEntry(order(`r${number}`), [], time(number)));
  await ledger.prune(new Set(['r0']));
  expect(['open', 'r0', 'r1', 'r2', 'r3'].map((uid) => ledger.has(uid))).toEqual([
    true,
    true,
    false,
    false,
    true,
  ]);
  expect((await state.list('order-')).length).toBe(FINISHED_KEPT + 2);
});

test.each([
  ['0b6f4b7e-4d0c-4a66-9f52-2f3d2f0f7c11', true],
  ['r1', true],
  ['', false],
  ['../r1', false],
  ['UPPER', false],
  ['a'.repeat(64), false],
])('%j is the UID of a request: %j', (text, is) => {
  expect(isRequestUID(text)).toBe(is);
});
