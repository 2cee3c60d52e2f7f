import { describe, expect, test } from '@jest/globals';
import { CHECKPOINT_PLANS, CHECKPOINT_POLICIES } from '../../../src/api/kube-resources.ts';
import { createPlanReconciler } from '../../../src/controller/plan-reconciler.ts';
import { createSettingsSource } from '../../../src/controller/settings-view.ts';
import { aSpec, ControllerFixture, MI, NEVER } from './controller-fixture.ts';

/** shop is in plan-09, depot in plan-13; nobody is in plan-00. */
function aPlanner(settings: Record<string, unknown> = {}, learned: ReadonlyMap<string, number> = new Map()) {
  const fixture = new ControllerFixture(settings);
  const reconcile = createPlanReconciler({
    ...fixture.parts,
    learned: { current: () => learned, fold: () => Promise.resolve(false) },
  });
  const run = async (plan: string): Promise<void> => {
    fixture.sync();
    await reconcile(plan, NEVER);
  };
  return { fixture, run };
}

const limits = (plan: unknown): unknown[] =>
  (
    plan as {
      readonly policies: readonly {
        readonly name: string;
        readonly targets: readonly { readonly limitBytes?: number }[];
      }[];
    }
  ).policies.map(({ name, targets }) => [name, targets[0]?.limitBytes]);

describe('a plan', () => {
  test('holds the policies of its namespaces, and no others', async () => {
    const { fixture, run } = aPlanner();
    await fixture.policy('b', aSpec('8Mi'));
    await fixture.policy('a');
    await fixture.policy('x', aSpec('2Mi'), 'depot');
    for (const plan of ['plan-09', 'plan-13', 'plan-05']) await run(plan);
    const plans = fixture.plans();
    expect(Object.keys(plans)).toEqual(['plan-09', 'plan-13']);
    expect([limits(plans['plan-09']), limits(plans['plan-13'])]).toEqual([
      [
        ['a', 3 * MI],
        ['b', 8 * MI],
      ],
      [['x', 2 * MI]],
    ]);
  });

  test('is written only when its content changes', async () => {
    const { fixture, run } = aPlanner();
    const { metadata } = await fixture.policy('a');
    await run('plan-09');
    await run('plan-09');
    expect(fixture.kube.callsOf({ verb: 'apply' })).toHaveLength(1);
    // A label of the policy is nothing to a node.
    await fixture.kube.direct.mergePatch(
      CHECKPOINT_POLICIES,
      { namespace: 'shop', name: metadata.name },
      { metadata: { labels: { team: 'x' } } },
      { fieldManager: 'kubectl' },
    );
    await run('plan-09');
    expect(fixture.kube.callsOf({ verb: 'apply' })).toHaveLength(1);
    await fixture.policy('a', aSpec('4Mi'));
    await run('plan-09');
    expect(fixture.kube.callsOf({ verb: 'apply' })).toHaveLength(2);
  });

  test('loses a policy that is being deleted, and is empty without any', async () => {
    const { fixture, run } = aPlanner();
    const policy = await fixture.policy('a');
    await run('plan-09');
    fixture.kube.seed(CHECKPOINT_POLICIES, {
      ...policy,
      metadata: {
        ...policy.metadata,
        finalizers: ['ghostlimit.dev/cleanup'],
        deletionTimestamp: '2026-11-23T10:00:00Z',
      },
    });
    await run('plan-09');
    expect(fixture.plans()).toEqual({ 'plan-09': { policies: [] } });
  });

  test('keeps the last good state of a policy that is refused now, as far as the settings still allow it', async () => {
    const { fixture, run } = aPlanner({ maxGhostLimit: '64Mi' });
    await fixture.policy('a');
    await run('plan-09');
    await fixture.policy('a', aSpec('100Mi'));
    await run('plan-09');
    expect(fixture.plans()['plan-09']).toMatchObject({
      policies: [{ generation: 1, targets: [{ limitBytes: 3 * MI }] }],
    });
    fixture.set({ maxGhostLimit: '2Mi' });
    await run('plan-09');
    expect(fixture.plans()['plan-09']).toEqual({ policies: [] });
  });

  test('says what was learned', async () => {
    const { fixture, run } = aPlanner({}, new Map([['shop/a/all', 6 * MI]]));
    await fixture.policy('a', {
      targets: [{ name: 'all', selector: {}, ghostLimit: { auto: { maximum: '16Mi' } } }],
    });
    await run('plan-09');
    expect(fixture.plans()['plan-09']).toMatchObject({
      policies: [
        {
          targets: [
            {
              auto: {
                minimumBytes: MI,
                maximumBytes: 16 * MI,
                headroomPercent: 25,
                learnedLimitBytes: 6 * MI,
              },
            },
          ],
        },
      ],
    });
  });

  test('put back where somebody edited it', async () => {
    const { fixture, run } = aPlanner();
    await fixture.policy('a');
    await run('plan-09');
    await fixture.kube.direct.mergePatch(
      CHECKPOINT_PLANS,
      { name: 'plan-09' },
      { spec: { policies: [] } },
      { fieldManager: 'kubectl' },
    );
    await run('plan-09');
    expect(limits(fixture.plans()['plan-09'])).toEqual([['a', 3 * MI]]);
  });
});

describe('the settings for every node', () => {
  test.each([
    [{}, { checkpointsPaused: false, reportSpreadSeconds: 0 }],
    [
      { baseGhostLimit: '2Mi' },
      { baseGhostLimitBytes: 2 * MI, checkpointsPaused: false, reportSpreadSeconds: 0 },
    ],
    [{ checkpointsPaused: true }, { checkpointsPaused: true, reportSpreadSeconds: 0 }],
    [
      { removal: true, baseGhostLimit: '2Mi' },
      { checkpointsPaused: true, reportSpreadSeconds: 0 },
    ],
  ])('%j', async (settings, nodeSettings) => {
    const { fixture, run } = aPlanner(settings);
    await run('plan-00');
    expect(fixture.plans()).toEqual({ 'plan-00': { policies: [], nodeSettings } });
  });

  test.each([
    [1, 0],
    [64, 0],
    [65, 1],
    [200, 2],
    [300, 5],
  ])('%i nodes spread their reports over %i s', async (count, reportSpreadSeconds) => {
    const { fixture, run } = aPlanner();
    for (let index = 0; index < count; index += 1) fixture.node(`n${index.toString()}`, { agent: false });
    await run('plan-00');
    expect(fixture.plans()['plan-00']).toMatchObject({ nodeSettings: { reportSpreadSeconds } });
  });

  test('stand in plan-00 alone', async () => {
    const { fixture, run } = aPlanner({ baseGhostLimit: '2Mi' });
    await fixture.policy('a');
    await run('plan-09');
    expect(Object.keys(fixture.plans()['plan-09'] as object)).toEqual(['policies']);
  });
});

test('removal empties the plans', async () => {
  const { fixture, run } = aPlanner();
  await fixture.policy('a');
  await run('plan-09');
  fixture.set({ removal: true });
  await run('plan-09');
  expect(fixture.plans()).toEqual({ 'plan-09': { policies: [] } });
});

test('without settings nothing is written', async () => {
  const { fixture } = aPlanner();
  const settings = createSettingsSource(JSON.parse, fixture.log);
  const learned = { current: () => new Map<string, number>(), fold: () => Promise.resolve(false) };
  await createPlanReconciler({ ...fixture.parts, settings, learned })('plan-00', NEVER);
  expect(fixture.plans()).toEqual({});
});
