// What every StateStore must do, run against the fake and the real adapter.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LockHeld, type StateStore } from '../../src/ports/state-store.ts';

export interface StateStoreWorld {
  readonly store: StateStore;
  /** The same folder, used by another program. */
  readonly other: StateStore;
  /** Another process takes the lock; gives its pid. */
  lockElsewhere(name: string): Promise<number>;
  /** SIGKILL for the process that lockElsewhere started. */
  killElsewhere(): Promise<void>;
  dispose(): Promise<void>;
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

export function stateStoreContract(name: string, makeWorld: () => Promise<StateStoreWorld>): void {
  describe(`StateStore: ${name}`, () => {
    let world: StateStoreWorld;
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(() => world.dispose());

    describe('documents', () => {
      test('one that is not there', async () => {
        expect(await world.store.read('note')).toBeNull();
        expect(await world.store.list('')).toEqual([]);
        await expect(world.store.remove('note')).resolves.toBeUndefined();
      });

      test('comes back as it was written, to others too', async () => {
        await world.store.write('note', bytes('one'));
        await world.store.write('note', bytes('two\0\n'));
        expect(Buffer.from((await world.other.read('note')) ?? []).toString()).toBe('two\0\n');
      });

      test('an empty one is there', async () => {
        await world.store.write('note', bytes(''));
        expect(await world.store.read('note')).toHaveLength(0);
      });

      test('is gone once removed', async () => {
        await world.store.write('note', bytes('one'));
        await world.store.remove('note');
        expect(await world.other.read('note')).toBeNull();
      });

      test('are listed by prefix, sorted', async () => {
        for (const document of ['origin.b', 'ledger.1', 'origin.a'])
          await world.store.write(document, bytes('x'));
        expect(await world.store.list('origin.')).toEqual(['origin.a', 'origin.b']);
        expect(await world.store.list('')).toEqual(['ledger.1', 'origin.a', 'origin.b']);
      });

      test('locks are not documents', async () => {
        await world.store.lock('engine', 0);
        expect(await world.store.list('')).toEqual([]);
      });

      test.each(['', '.', '..', '../x', 'a/b', '.hidden', 'A', 'a b', 'a\n', 'x'.repeat(129)])(
        'refuses the name %j',
        async (document) => {
          await expect(world.store.read(document)).rejects.toThrow(RangeError);
          await expect(world.store.write(document, bytes(''))).rejects.toThrow(RangeError);
          await expect(world.store.remove(document)).rejects.toThrow(RangeError);
          await expect(world.store.lock(document, 0)).rejects.toThrow(RangeError);
        },
      );
    });

    describe('locks', () => {
      test('only one has it', async () => {
        await world.store.lock('engine', 0);
        await expect(world.other.lock('engine', 0)).rejects.toThrow(LockHeld);
        await expect(world.store.lock('engine', 0)).rejects.toThrow(LockHeld);
      });

      test('names do not touch each other', async () => {
        await world.store.lock('engine', 0);
        await expect(world.other.lock('engine2', 0)).resolves.toBeDefined();
        await expect(world.other.lock('engine.2', 0)).resolves.toBeDefined();
      });

      test('is free after release, which may be called twice', async () => {
        const first = await world.store.lock('engine', 0);
        await first.release();
        const second = await world.other.lock('engine', 0);
        await first.release();
        await expect(world.store.lock('engine', 0)).rejects.toThrow(LockHeld);
        await second.release();
      });

      test('waits for the holder', async () => {
        const first = await world.store.lock('engine', 0);
        const order: string[] = [];
        const second = world.other.lock('engine', 30_000).then(() => order.push('second'));
        await new Promise((resolve) => setTimeout(resolve, 20));
        order.push('released');
        await first.release();
        await second;
        expect(order).toEqual(['released', 'second']);
      });

      test('gives up after the wait', async () => {
        await world.store.lock('engine', 0);
        await expect(world.other.lock('engine', 60)).rejects.toThrow(LockHeld);
      });

      test('tells who has it', async () => {
        const pid = await world.lockElsewhere('engine');
        await expect(world.store.lock('engine', 0)).rejects.toMatchObject({ lockName: 'engine', pid });
      });

      test('the lock of a killed process is free', async () => {
        await world.lockElsewhere('engine');
        await world.killElsewhere();
        await expect(world.store.lock('engine', 0)).resolves.toBeDefined();
        await expect(world.other.lock('engine', 0)).rejects.toThrow(LockHeld);
      });
    });
  });
}
