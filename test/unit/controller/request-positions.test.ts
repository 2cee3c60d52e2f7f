import { afterEach, describe, expect, test } from '@jest/globals';
import { RequestHarness } from './request-harness.ts';

let last: RequestHarness | null = null;

async function aWorld(): Promise<RequestHarness> {
  const harness = new RequestHarness();
  harness.pod('web-1');
  harness.pod('till-1', { namespace: 'till' });
  await harness.start();
  last = harness;
  return harness;
}

afterEach(async () => {
  await last?.stop();
  last = null;
});

const TILL = [{ podName: 'till-1' }, { namespace: 'till' }] as const;

describe('the place of a request that was just accepted', () => {
  test('of a namespace that has none there yet, it is after all that are ordered', async () => {
    const harness = await aWorld();
    await harness.ask('r1');
    await harness.runs('r1');
    for (const name of ['r2', 'r3', 'r4']) await harness.ask(name);
    await harness.ask('t1', ...TILL);
    expect(['r2', 'r3', 'r4'].map((name) => harness.status(name).queuePosition)).toEqual([1, 2, 3]);
    expect(harness.status('t1', 'till').queuePosition).toBe(4);
    expect(harness.orders()).toEqual(['r1', 'r2', 'r3', 'r4', 't1']);
  });

  test('of those that are not ordered yet it is before the later turns of others', async () => {
    const harness = await aWorld();
    await harness.ask('r10');
    await harness.runs('r10');
    for (let number = 11; number < 50; number += 1) await harness.ask(`r${number.toString()}`);
    expect(harness.orders()).toHaveLength(32);
    await harness.ask('t1', ...TILL);
    // 31 wait in the list, then it, then the other eight: places beyond 10 are shown to the nearest 10.
    expect(harness.status('t1', 'till').queuePosition).toBe(30);
    await harness.ask('r50');
    expect(harness.status('r50').queuePosition).toBe(40);
    for (let number = 10; number < 40; number += 1) await harness.finishes(`r${number.toString()}`);
    await harness.time.advance(20_000);
    expect(harness.orders().slice(2, 4)).toEqual(['t1', 'r42']);
    expect(harness.status('t1', 'till').queuePosition).toBe(3);
  });
});
