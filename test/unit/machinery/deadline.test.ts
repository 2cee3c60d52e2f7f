import { expect, test } from '@jest/globals';
import { withDeadline } from '../../../src/machinery/deadline.ts';
import { sleep } from '../../../src/machinery/sleep.ts';
import { KubeUnreachable } from '../../../src/ports/kube-api.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';

/** How a promise stands now: its value, its error, or "waits". */
async function standing(time: VirtualTime, promise: Promise<unknown>): Promise<unknown> {
  let state: unknown = 'waits';
  promise.then(
    (value) => (state = value),
    (error: unknown) => (state = error),
  );
  await time.rest();
  return state;
}

const never = (): Promise<never> => new Promise(() => undefined);

test('gives what the call gives, and leaves nothing behind', async () => {
  const time = new VirtualTime();
  const stop = new AbortController();
  let own: AbortSignal | null = null;
  const call = withDeadline(time, 1_000, stop.signal, (signal) => {
    own = signal;
    return Promise.resolve('answer');
  });
  expect(await call).toBe('answer');
  stop.abort();
  await time.advance(2_000);
  expect((own as AbortSignal | null)?.aborted).toBe(false);
});

test('rejects with what the call rejects with', async () => {
  const call = withDeadline(new VirtualTime(), 1_000, new AbortController().signal, () =>
    Promise.reject(new Error('no')),
  );
  await expect(call).rejects.toThrow('no');
});

test('after the limit: KubeUnreachable, and the signal of the call says so, whether it listens or not', async () => {
  const time = new VirtualTime();
  const signals: AbortSignal[] = [];
  const call = withDeadline(time, 1_000, new AbortController().signal, (signal) => {
    signals.push(signal);
    return never();
  });
  await time.advance(999);
  expect(await standing(time, call)).toBe('waits');
  await time.advance(1);
  expect(await standing(time, call)).toEqual(new KubeUnreachable('no answer within 1000 ms'));
  expect(signals[0]?.reason).toBeInstanceOf(KubeUnreachable);
});

test('an abort ends it with its reason, before or during the call', async () => {
  const time = new VirtualTime();
  const stop = new AbortController();
  const call = withDeadline(time, 1_000, stop.signal, never);
  stop.abort(new Error('stop'));
  expect(await standing(time, call)).toEqual(new Error('stop'));
  let called = false;
  const late = withDeadline(time, 1_000, stop.signal, () => {
    called = true;
    return never();
  });
  expect(await standing(time, late)).toEqual(new Error('stop'));
  expect(called).toBe(false);
});

test('sleep ends with its time, or with its signal, whichever is first', async () => {
  const time = new VirtualTime();
  const stop = new AbortController();
  const short = sleep(time, 10, stop.signal);
  const long = sleep(time, 1_000, stop.signal);
  expect(await standing(time, short)).toBe('waits');
  await time.advance(10);
  expect([await standing(time, short), await standing(time, long)]).toEqual([undefined, 'waits']);
  stop.abort();
  expect([await standing(time, long), await standing(time, sleep(time, 1_000, stop.signal))]).toEqual([
    undefined,
    undefined,
  ]);
});
