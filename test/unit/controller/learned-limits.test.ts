import { describe, expect, test } from '@jest/globals';
import { CHECKPOINT_PLANS } from '../../../src/api/kube-resources.ts';
import { createLearnedLimits } from '../../../src/controller/learned-limits.ts';
import { LEARNED_HOLD_MS } from '../../../src/domain/plan/learned-limits.ts';
import { aPlanPolicy, aPlanTarget } from '../../builders/policies.ts';
import { aPolicyReport, ControllerFixture, MI, NEVER } from './controller-fixture.ts';

const BOUNDS = { minimumBytes: MI, maximumBytes: 16 * MI, headroomPercent: 0 };

class Watched {
  readonly fixture = new ControllerFixture();
  readonly #learned;

  /** `planned`: what the plan says that was learned. */
  constructor(planned: number | null = null, auto: Partial<typeof BOUNDS> = {}) {
    const { limitBytes: _fixed, ...target } = aPlanTarget();
    const learnedLimitBytes = planned === null ? {} : { learnedLimitBytes: planned };
    const policy = aPlanPolicy({
      namespace: 'shop',
      uid: 'u',
      targets: [{ ...target, auto: { ...BOUNDS, ...auto, ...learnedLimitBytes } }],
    });
    this.fixture.kube.seed(CHECKPOINT_PLANS, {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointPlan',
      metadata: { name: 'plan-09' },
      spec: { policies: [policy] },
    });
    for (const name of ['n1', 'n2']) this.fixture.node(name);
    this.#learned = createLearnedLimits(this.fixture.parts);
  }

  says(nodeName: string, requiredBytes: number): void {
    const targets = [{ name: 'all', matchedPods: 1, effectiveLimitBytes: 0, requiredBytes }];
    this.fixture.report(nodeName, { policies: [aPolicyReport({ targets })] });
  }

  /** Whether that was news, and what is learned then. */
  async fold(): Promise<readonly [boolean, number | null]> {
    this.fixture.sync();
    const changed = await this.#learned.fold('plan-09', NEVER);
    return [changed, this.#learned.current().get('shop/p/all') ?? null];
  }
}

describe('the word of a node', () => {
  test('counts with a matching pod there, rounded up to a step', async () => {
    const world = new Watched();
    world.fixture.pod('a', 'n1');
    world.says('n1', 2_797_568);
    expect(await world.fold()).toEqual([true, 3 * MI]);
    expect(await world.fold()).toEqual([false, 3 * MI]);
  });

  test('does not count without such a pod, or with one that has finished', async () => {
    const world = new Watched();
    world.says('n1', 5 * MI);
    expect(await world.fold()).toEqual([false, null]);
    world.fixture.pod('a', 'n1', { phase: 'Failed' });
    expect(await world.fold()).toEqual([false, null]);
    world.fixture.pod('b', 'n2');
    expect(await world.fold()).toEqual([false, null]);
  });

  test('that is not believed does not hide another one', async () => {
    const world = new Watched();
    world.says('n1', 12 * MI);
    world.says('n2', 5 * MI);
    world.fixture.pod('a', 'n2');
    expect(await world.fold()).toEqual([true, 5 * MI]);
  });

  test.each([
    ['above', 100 * MI, 16 * MI],
    ['below', 1, 2 * MI],
  ])('never leads %s the bounds of the target', async (_where, requiredBytes, limitBytes) => {
    const world = new Watched(null, { minimumBytes: 2 * MI });
    world.fixture.pod('a', 'n1');
    world.says('n1', requiredBytes);
    expect(await world.fold()).toEqual([true, limitBytes]);
  });

  test('is not looked after where it would lift nothing', async () => {
    const world = new Watched(8 * MI);
    world.says('n1', 5 * MI);
    await world.fold();
    expect(world.fixture.kube.callsOf({ verb: 'list', resource: 'pods' })).toEqual([]);
  });
});

describe('what the plan says already', () => {
  test('is where a new leader begins', async () => {
    expect(await new Watched(8 * MI).fold()).toEqual([false, 8 * MI]);
  });

  test('falls only after a day in which less was asked for', async () => {
    const world = new Watched(8 * MI);
    world.fixture.pod('a', 'n1');
    world.says('n1', 3 * MI);
    expect(await world.fold()).toEqual([false, 8 * MI]);
    await world.fixture.time.advance(LEARNED_HOLD_MS - 1);
    expect(await world.fold()).toEqual([false, 8 * MI]);
    await world.fixture.time.advance(1);
    expect(await world.fold()).toEqual([true, 3 * MI]);
  });

  test('begins that day anew when it was needed again', async () => {
    const world = new Watched(8 * MI);
    world.fixture.pod('a', 'n1');
    world.says('n1', 3 * MI);
    await world.fold();
    await world.fixture.time.advance(LEARNED_HOLD_MS - 1);
    world.says('n1', 8 * MI);
    await world.fold();
    world.says('n1', 3 * MI);
    await world.fold();
    await world.fixture.time.advance(LEARNED_HOLD_MS - 1);
    expect(await world.fold()).toEqual([false, 8 * MI]);
    await world.fixture.time.advance(1);
    expect(await world.fold()).toEqual([true, 3 * MI]);
  });

  test('is forgotten after a day without any claim', async () => {
    const world = new Watched(8 * MI);
    expect(await world.fold()).toEqual([false, 8 * MI]);
    await world.fixture.time.advance(LEARNED_HOLD_MS);
    expect(await world.fold()).toEqual([true, null]);
  });
});
