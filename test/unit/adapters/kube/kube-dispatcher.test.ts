import { describe, expect, test } from '@jest/globals';
import { endSilent } from '../../../../src/adapters/kube/kube-dispatcher.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

class FakeSocket {
  bytesRead = 0;
  destroyed = false;
  error: Error | null = null;
  readonly alpnProtocol: string;

  constructor(alpnProtocol: string) {
    this.alpnProtocol = alpnProtocol;
  }

  destroy(error: Error): void {
    this.destroyed = true;
    this.error = error;
  }
}

describe('endSilent', () => {
  test('ends a connection whose pings are not answered', async () => {
    const clock = new FakeClock();
    const socket = new FakeSocket('h2');
    endSilent(socket, clock);
    for (let round = 0; round < 4; round += 1) {
      socket.bytesRead += 17;
      await clock.advance(45_000);
      expect(socket.destroyed).toBe(false);
    }
    await clock.advance(44_999);
    expect(socket.destroyed).toBe(false);
    await clock.advance(1);
    expect(socket.error?.message).toBe('nothing came for 45 s, not even the answer to a ping');
  });

  test('leaves one alone that has ended, and HTTP/1.1, which knows no pings', async () => {
    const clock = new FakeClock();
    const ended = new FakeSocket('h2');
    const old = new FakeSocket('http/1.1');
    for (const socket of [ended, old]) endSilent(socket, clock);
    ended.destroyed = true;
    await clock.advance(200_000);
    expect([ended.error, old.error]).toEqual([null, null]);
  });
});
