import { describe, expect, test } from '@jest/globals';
import type { FileReport } from '../../../src/api/checkpoint-node.ts';
import { CHECKPOINT_PLANS, CHECKPOINT_POLICIES, EVENTS } from '../../../src/api/kube-resources.ts';
import { createEventRecorder } from '../../../src/controller/event-recorder.ts';
import { createRemovalReconciler } from '../../../src/controller/removal-reconciler.ts';
import { ControllerFixture, MI, NEVER } from './controller-fixture.ts';

const FINALIZER = 'ghostlimit.dev/cleanup';

function aWorld() {
  const fixture = new ControllerFixture({ removal: true });
  const events = createEventRecorder({ ...fixture.parts, namespace: 'ghostlimit-system', instance: 'c-1' });
  const reconcile = createRemovalReconciler({ ...fixture.parts, events });
  const run = () => {
    fixture.sync();
    return reconcile('cluster', NEVER);
  };
  const notes = (): string[] =>
    fixture.kube.all(EVENTS).map((event) => `${String(event['type'])}: ${String(event['note'])}`);
  return { fixture, run, notes };
}

const aFile = (managed: boolean): FileReport => ({
  path: '/etc/criu/runc.conf',
  state: 'InSync',
  effectiveLimitBytes: 3 * MI,
  desiredLimitBytes: 0,
  managed,
  findings: [],
});

async function aHeldPolicy(fixture: ControllerFixture): Promise<void> {
  const policy = await fixture.policy('p');
  fixture.kube.seed(CHECKPOINT_POLICIES, {
    ...policy,
    metadata: { ...policy.metadata, finalizers: ['team/hold', FINALIZER] },
  });
}

const plan = (policies: readonly unknown[], generation = 1) => ({
  apiVersion: 'ghostlimit.dev/v1alpha1',
  kind: 'CheckpointPlan',
  metadata: { name: 'plan-09', generation },
  spec: { policies },
});

describe('removal', () => {
  test('waits for a Ready node that has lines of ours, then drops our finalizers and says so once', async () => {
    const { fixture, run, notes } = aWorld();
    await aHeldPolicy(fixture);
    fixture.node('n1');
    fixture.report('n1', { files: [aFile(true)] });
    expect(await run()).toEqual({ requeueAfterMs: 2_000 });
    expect(fixture.find('p')?.metadata.finalizers).toEqual(['team/hold', FINALIZER]);
    fixture.report('n1', { files: [aFile(false)] });
    for (let turn = 0; turn < 3; turn += 1) expect(await run()).toEqual({ requeueAfterMs: 20_000 });
    expect(fixture.find('p')?.metadata.finalizers).toEqual(['team/hold']);
    expect(notes()).toEqual([
      'Normal: every node has its CRIU files back as they were; the operator can be deleted now',
    ]);
  });

  test('waits until the plans are empty, and read', async () => {
    const { fixture, run } = aWorld();
    fixture.node('n1');
    fixture.report('n1', { files: [aFile(false)], plans: [{ name: 'plan-09', generation: 1 }] });
    const policy = {
      namespace: 'shop',
      name: 'p',
      uid: 'u',
      generation: 1,
      mode: 'Enforce',
      scope: 'Node',
      options: [],
      targets: [],
    };
    fixture.kube.seed(CHECKPOINT_PLANS, plan([policy]));
    expect(await run()).toEqual({ requeueAfterMs: 2_000 });
    fixture.kube.seed(CHECKPOINT_PLANS, plan([], 2));
    expect(await run()).toEqual({ requeueAfterMs: 2_000 });
    fixture.report('n1', { files: [aFile(false)], plans: [{ name: 'plan-09', generation: 2 }] });
    expect(await run()).toEqual({ requeueAfterMs: 20_000 });
  });

  test('gives up a node that is not Ready after 20 s, names it, and says when it is done after all', async () => {
    const { fixture, run, notes } = aWorld();
    fixture.node('n1', { ready: false });
    fixture.report('n1', { files: [aFile(true)] });
    expect(await run()).toEqual({ requeueAfterMs: 2_000 });
    await fixture.time.advance(19_999);
    expect(await run()).toEqual({ requeueAfterMs: 2_000 });
    await fixture.time.advance(1);
    expect(await run()).toEqual({ requeueAfterMs: 20_000 });
    expect(notes()).toEqual(['Warning: taken back on every node that answers; left: n1 (NotReady)']);
    fixture.node('n1');
    fixture.report('n1', { files: [aFile(false)] });
    expect(await run()).toEqual({ requeueAfterMs: 20_000 });
    expect(notes().sort()).toEqual([
      'Normal: every node has its CRIU files back as they were; the operator can be deleted now',
      'Warning: taken back on every node that answers; left: n1 (NotReady)',
    ]);
  });

  test('a node that misses a few heartbeats is waited for anew', async () => {
    const { fixture, run } = aWorld();
    fixture.report('n1', { files: [aFile(true)] });
    for (let flicker = 0; flicker < 3; flicker += 1) {
      fixture.node('n1', { ready: false });
      expect(await run()).toEqual({ requeueAfterMs: 2_000 });
      await fixture.time.advance(15_000);
      fixture.node('n1');
      expect(await run()).toEqual({ requeueAfterMs: 2_000 });
    }
  });

  test('waits at most 120 s', async () => {
    const { fixture, run, notes } = aWorld();
    fixture.node('n1');
    fixture.report('n1', { files: [aFile(true)] });
    await run();
    await fixture.time.advance(119_999);
    expect(await run()).toEqual({ requeueAfterMs: 2_000 });
    await fixture.time.advance(1);
    expect(await run()).toEqual({ requeueAfterMs: 20_000 });
    expect(notes()).toEqual([
      'Warning: taken back on every node that answers; left: n1 (lines still in /etc/criu/runc.conf)',
    ]);
  });

  test('does nothing without the setting, and begins anew when it comes back', async () => {
    const { fixture, run } = aWorld();
    fixture.node('n1');
    fixture.report('n1', { files: [aFile(true)] });
    await run();
    await fixture.time.advance(200_000);
    fixture.set({});
    expect(await run()).toEqual({});
    fixture.set({ removal: true });
    expect(await run()).toEqual({ requeueAfterMs: 2_000 });
  });

  test('takes the finalizer from a policy that still had one later', async () => {
    const { fixture, run } = aWorld();
    await run();
    await aHeldPolicy(fixture);
    await run();
    expect(fixture.find('p')?.metadata.finalizers).toEqual(['team/hold']);
  });
});
