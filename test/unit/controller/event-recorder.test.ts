import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import { EVENTS } from '../../../src/api/kube-resources.ts';
import {
  createEventRecorder,
  EVENT_QUIET_MS,
  type ClusterEvent,
} from '../../../src/controller/event-recorder.ts';
import { ControllerFixture } from './controller-fixture.ts';

const POLICY: KubeObject = {
  apiVersion: 'ghostlimit.dev/v1alpha1',
  kind: 'CheckpointPolicy',
  metadata: { name: 'p', namespace: 'shop', uid: 'u1' },
};
const EVENT: ClusterEvent = {
  type: 'Warning',
  reason: 'NodesFailing',
  action: 'Reconcile',
  note: 'not in force',
};

function aRecorder() {
  const fixture = new ControllerFixture();
  const recorder = createEventRecorder({ ...fixture.parts, namespace: 'ghostlimit-system', instance: 'c-1' });
  const events = () => fixture.kube.all(EVENTS);
  return { fixture, recorder, events };
}

test('an event as events.k8s.io wants it', async () => {
  const { recorder, events } = aRecorder();
  await recorder.emit(POLICY, EVENT);
  expect(events()).toHaveLength(1);
  expect(events()[0]).toMatchObject({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { namespace: 'shop' },
    eventTime: '2026-11-23T10:00:00.000000Z',
    reportingController: 'ghostlimit.dev/controller',
    reportingInstance: 'c-1',
    type: 'Warning',
    reason: 'NodesFailing',
    action: 'Reconcile',
    note: 'not in force',
    regarding: {
      apiVersion: 'ghostlimit.dev/v1alpha1',
      kind: 'CheckpointPolicy',
      namespace: 'shop',
      name: 'p',
      uid: 'u1',
    },
  });
  expect(events()[0]?.metadata.name).toMatch(/^p\.[0-9a-f]+$/);
});

test('about an object without a namespace it stands in the operator’s', async () => {
  const { recorder, events } = aRecorder();
  await recorder.emit({ ...POLICY, kind: 'CheckpointNode', metadata: { name: 'n1' } }, EVENT);
  expect(events()[0]).toMatchObject({
    metadata: { namespace: 'ghostlimit-system' },
    regarding: { name: 'n1' },
  });
});

describe('the same words about the same object', () => {
  test('are said once in ten minutes', async () => {
    const { fixture, recorder, events } = aRecorder();
    await recorder.emit(POLICY, EVENT);
    await fixture.time.advance(EVENT_QUIET_MS - 1);
    await recorder.emit(POLICY, EVENT);
    expect(events()).toHaveLength(1);
    await fixture.time.advance(1);
    await recorder.emit(POLICY, EVENT);
    expect(events()).toHaveLength(2);
  });

  test.each<[string, KubeObject, ClusterEvent]>([
    ['another object', { ...POLICY, metadata: { ...POLICY.metadata, uid: 'u2' } }, EVENT],
    ['another reason', POLICY, { ...EVENT, reason: 'AgentMissing' }],
    ['another note', POLICY, { ...EVENT, note: 'not in force on n2' }],
  ])('are not those about %s', async (_what, object, event) => {
    const { recorder, events } = aRecorder();
    await recorder.emit(POLICY, EVENT);
    await recorder.emit(object, event);
    expect(events()).toHaveLength(2);
  });
});

test('a note is cut to 1024 bytes, between two characters', async () => {
  const { recorder, events } = aRecorder();
  await recorder.emit(POLICY, { ...EVENT, note: 'ä'.repeat(1_000) });
  const note = String(events()[0]?.['note']);
  expect(Buffer.byteLength(note)).toBe(1_021);
  expect(note).toBe(`${'ä'.repeat(509)}…`);
});

test('one that is refused is logged, and nobody stumbles over it', async () => {
  const { fixture, recorder, events } = aRecorder();
  fixture.kube.faults.next({ resource: 'events' }, { kind: 'status', status: 403 });
  await recorder.emit(POLICY, EVENT);
  fixture.kube.faults.next({ resource: 'events' }, { kind: 'unreachable' });
  await recorder.emit(POLICY, { ...EVENT, note: 'other' });
  expect(events()).toEqual([]);
  expect(fixture.log.messages('debug')).toEqual(['event refused', 'event not written']);
});
