import { describe, expect, test } from '@jest/globals';
import { CHECKPOINT_NODES, NODES } from '../../../src/api/kube-resources.ts';
import { createNodeObjectReconciler } from '../../../src/controller/node-object-reconciler.ts';
import { ControllerFixture, NEVER } from './controller-fixture.ts';

function aWorld() {
  const fixture = new ControllerFixture();
  const reconcile = createNodeObjectReconciler(fixture.parts);
  const stale = () => reconcile('n1', NEVER);
  const run = () => {
    fixture.sync();
    return stale();
  };
  return { fixture, run, stale };
}

const find = (fixture: ControllerFixture) => fixture.kube.find(CHECKPOINT_NODES, { name: 'n1' });

describe('the CheckpointNode of a node', () => {
  test('is made with the Node as owner, and without orders', async () => {
    const { fixture, run } = aWorld();
    const { metadata } = fixture.node('n1');
    expect(await run()).toEqual({});
    expect(find(fixture)).toMatchObject({
      metadata: {
        name: 'n1',
        ownerReferences: [
          { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: metadata.uid, blockOwnerDeletion: false },
        ],
      },
      spec: { orders: [], deletions: [] },
      status: { observedGeneration: -1 },
    });
  });

  test('that is there already is left alone, also where the cache does not know it yet', async () => {
    const { fixture, run, stale } = aWorld();
    fixture.node('n1');
    await run();
    const before = fixture.kube.revision;
    await fixture.time.advance(10_000);
    await stale();
    await run();
    expect(fixture.kube.revision).toBe(before);
  });

  test('of an earlier node of the name goes, and is made anew', async () => {
    const { fixture, run } = aWorld();
    fixture.node('n1');
    await run();
    const before = find(fixture)?.metadata.uid;
    await fixture.kube.direct.delete(NODES, { name: 'n1' });
    const { metadata } = fixture.node('n1');
    await run();
    expect(find(fixture)).toBeNull();
    await run();
    expect(find(fixture)?.metadata.uid).not.toBe(before);
    expect(find(fixture)?.metadata.ownerReferences?.[0]?.uid).toBe(metadata.uid);
  });

  test('is made for the same Node at most every 5 s: our view of the Node may be old, and the garbage collector quick', async () => {
    const { fixture, run } = aWorld();
    fixture.node('n1');
    await run();
    await fixture.kube.direct.delete(CHECKPOINT_NODES, { name: 'n1' });
    await fixture.time.advance(1_000);
    expect(await run()).toEqual({ requeueAfterMs: 4_000 });
    expect(find(fixture)).toBeNull();
    await fixture.time.advance(4_000);
    expect(await run()).toEqual({});
    expect(find(fixture)).not.toBeNull();
  });

  test('is not made for a node that is gone', async () => {
    const { fixture, run } = aWorld();
    await run();
    expect(fixture.kube.calls).toEqual([]);
  });

  test('a refusal is an error, to be tried again', async () => {
    const { fixture, run } = aWorld();
    fixture.node('n1');
    fixture.kube.faults.next({ verb: 'create' }, { kind: 'status', status: 500 });
    await expect(run()).rejects.toMatchObject({ status: 500 });
  });
});
