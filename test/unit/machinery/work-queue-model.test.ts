// The queue against a model: what each key is owed. The model is a set of keys that wait, a set that is worked on, and for each key the times at which a delay ends.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createWorkQueue, type WorkQueue } from '../../../src/machinery/work-queue.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { RecordingMetrics } from './recording.ts';

interface Model {
  nowMs: number;
  /** In the order in which they have to come. */
  waiting: string[];
  working: Set<string>;
  /** Owed once more after done. */
  again: Set<string>;
  /** Key → end of its earliest delay, in order of those ends. */
  delayed: Map<string, number>;
  failures: Map<string, number>;
  /** Workers that have asked and got nothing yet. */
  asking: number;
  down: boolean;
  /** What get has to have given, in order. */
  given: (string | null)[];
}

interface Real {
  readonly time: VirtualTime;
  readonly queue: WorkQueue;
  /** What get gave, in order. */
  readonly given: (string | null)[];
  /** Keys given and not done. */
  readonly held: Set<string>;
  drained: boolean;
}

function modelAdd(model: Model, key: string): void {
  if (model.down || model.waiting.includes(key) || model.again.has(key)) return;
  if (model.working.has(key)) model.again.add(key);
  else model.waiting.push(key);
}

function modelAddAfter(model: Model, key: string, delayMs: number): void {
  if (model.down) return;
  if (delayMs <= 0) {
    modelAdd(model, key);
    return;
  }
  const atMs = model.nowMs + delayMs;
  if (atMs < (model.delayed.get(key) ?? Infinity)) {
    model.delayed.delete(key);
    model.delayed.set(key, atMs);
  }
}

/** Serves workers that ask. */
function modelServe(model: Model): void {
  while (model.asking > 0 && (model.waiting.length > 0 || model.down)) {
    const key = model.waiting.shift() ?? null;
    if (key !== null) model.working.add(key);
    model.given.push(key);
    model.asking -= 1;
  }
}

/** Lets the real queue rest and compares everything that can be seen. */
async function compare(model: Model, real: Real): Promise<void> {
  modelServe(model);
  await real.time.rest();
  expect(real.given).toEqual(model.given);
  expect(real.queue.depth()).toBe(model.waiting.length);
  expect(real.drained).toBe(model.down && model.waiting.length === 0 && model.working.size === 0);
  for (const key of KEYS) expect(real.queue.failures(key)).toBe(model.failures.get(key) ?? 0);
}

const KEYS = ['a', 'b', 'c'];

abstract class Command implements fc.AsyncCommand<Model, Real> {
  check(_model: Readonly<Model>): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    await this.step(model, real);
    await compare(model, real);
  }

  abstract step(model: Model, real: Real): void | Promise<void>;
  abstract toString(): string;
}

class Add extends Command {
  readonly key: string;
  constructor(key: string) {
    super();
    this.key = key;
  }
  step(model: Model, { queue }: Real): void {
    queue.add(this.key);
    modelAdd(model, this.key);
  }
  toString(): string {
    return `add(${this.key})`;
  }
}

class AddAfter extends Command {
  readonly key: string;
  readonly delayMs: number;
  constructor(key: string, delayMs: number) {
    super();
    this.key = key;
    this.delayMs = delayMs;
  }
  step(model: Model, { queue }: Real): void {
    queue.addAfter(this.key, this.delayMs);
    modelAddAfter(model, this.key, this.delayMs);
  }
  toString(): string {
    return `addAfter(${this.key}, ${this.delayMs})`;
  }
}

class AddRateLimited extends Command {
  readonly key: string;
  constructor(key: string) {
    super();
    this.key = key;
  }
  step(model: Model, { queue }: Real): void {
    queue.addRateLimited(this.key);
    if (model.down) return;
    const failures = model.failures.get(this.key) ?? 0;
    model.failures.set(this.key, failures + 1);
    modelAddAfter(model, this.key, Math.min(1_000_000, 5 * 2 ** failures));
  }
  toString(): string {
    return `addRateLimited(${this.key})`;
  }
}

class Forget extends Command {
  readonly key: string;
  constructor(key: string) {
    super();
    this.key = key;
  }
  step(model: Model, { queue }: Real): void {
    queue.forget(this.key);
    model.failures.delete(this.key);
  }
  toString(): string {
    return `forget(${this.key})`;
  }
}

class Get extends Command {
  step(model: Model, real: Real): void {
    model.asking += 1;
    void real.queue.get().then((key) => {
      // The one thing that must never happen: two workers on one key.
      real.given.push(key !== null && real.held.has(key) ? `${key} twice` : key);
      if (key !== null) real.held.add(key);
    });
  }
  toString(): string {
    return 'get()';
  }
}

/** done(key), whether somebody has it or not: a stray done must change nothing. */
class Done extends Command {
  readonly key: string;
  constructor(key: string) {
    super();
    this.key = key;
  }
  step(model: Model, real: Real): void {
    real.queue.done(this.key);
    real.held.delete(this.key);
    if (!model.working.delete(this.key)) return;
    if (model.again.delete(this.key)) model.waiting.push(this.key);
  }
  toString(): string {
    return `done(${this.key})`;
  }
}

class Pass extends Command {
  readonly ms: number;
  constructor(ms: number) {
    super();
    this.ms = ms;
  }
  async step(model: Model, { time }: Real): Promise<void> {
    await time.advance(this.ms);
    model.nowMs += this.ms;
    const due = [...model.delayed].filter(([, atMs]) => atMs <= model.nowMs);
    for (const [key] of due.toSorted(([, one], [, other]) => one - other)) {
      model.delayed.delete(key);
      modelAdd(model, key);
    }
  }
  toString(): string {
    return `pass(${this.ms} ms)`;
  }
}

class ShutDown extends Command {
  override check(model: Readonly<Model>): boolean {
    return !model.down;
  }
  step(model: Model, real: Real): void {
    model.down = true;
    model.delayed.clear();
    void real.queue.shutDown().then(() => {
      real.drained = true;
    });
  }
  toString(): string {
    return 'shutDown()';
  }
}

const key = fc.constantFrom(...KEYS);
const commands = fc.commands(
  [
    key.map((name) => new Add(name)),
    key.map((name) => new Add(name)),
    fc.tuple(key, fc.integer({ min: -5, max: 60 })).map(([name, ms]) => new AddAfter(name, ms)),
    key.map((name) => new AddRateLimited(name)),
    key.map((name) => new Forget(name)),
    fc.constant(new Get()),
    fc.constant(new Get()),
    key.map((name) => new Done(name)),
    key.map((name) => new Done(name)),
    fc.integer({ min: 1, max: 50 }).map((ms) => new Pass(ms)),
    fc.constant(new ShutDown()),
  ],
  { maxCommands: 60 },
);

test('behaves as the model for any row of calls: no key twice at once, none lost, none doubled', async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (row) => {
      await fc.asyncModelRun(() => {
        const time = new VirtualTime();
        const queue = createWorkQueue({ name: 'q', clock: time, metrics: new RecordingMetrics() });
        const model: Model = {
          nowMs: 0,
          waiting: [],
          working: new Set(),
          again: new Set(),
          delayed: new Map(),
          failures: new Map(),
          asking: 0,
          down: false,
          given: [],
        };
        const real: Real = { time, queue, given: [], held: new Set(), drained: false };
        return { model, real };
      }, row);
    }),
    { numRuns: 1_500, seed: 1 },
  );
});

test('with many workers and any adds: the last add of a key is followed by a get of it, and no two overlap', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(key, fc.integer({ min: 0, max: 40 })), { maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 30 }),
      async (adds, workers, workMs) => {
        const time = new VirtualTime();
        const queue = createWorkQueue({ name: 'q', clock: time, metrics: new RecordingMetrics() });
        const inWork = new Set<string>();
        const startedAt = new Map<string, number>();
        let overlaps = 0;
        const worker = async (): Promise<void> => {
          for (let got = await queue.get(); got !== null; got = await queue.get()) {
            if (inWork.has(got)) overlaps += 1;
            inWork.add(got);
            startedAt.set(got, time.monotonicMs());
            await new Promise<void>((resolve) => time.after(workMs, resolve));
            inWork.delete(got);
            queue.done(got);
          }
        };
        const running = Array.from({ length: workers }, worker);
        const addedAt = new Map<string, number>();
        for (const [name, pauseMs] of adds) {
          await time.advance(pauseMs);
          queue.add(name);
          addedAt.set(name, time.monotonicMs());
        }
        await time.advance(10_000);
        for (const [name, atMs] of addedAt) expect(startedAt.get(name)).toBeGreaterThanOrEqual(atMs);
        expect(overlaps).toBe(0);
        expect(queue.depth()).toBe(0);
        await queue.shutDown();
        await Promise.all(running);
      },
    ),
    { numRuns: 200, seed: 2 },
  );
});
