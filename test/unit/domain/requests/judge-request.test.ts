import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { CheckpointRequestStatus, ContainerResult } from '../../../../src/api/checkpoint-request.ts';
import { REASONS } from '../../../../src/api/reasons.ts';
import { judgeRequest, type RequestWorld } from '../../../../src/domain/requests/judge-request.ts';
import { stageOf, type RequestFacts } from '../../../../src/domain/requests/request-facts.ts';
import { aNodeWord, aRequest, aWorld, CREATED_MS, FINALIZER } from './a-request.ts';

const gone = { name: 'n1', exists: false, reported: false, agentLive: false };
const silent = { name: 'n1', exists: true, reported: true, agentLive: false };
const success = { name: 'app', result: 'Succeeded', attempts: 1 } as const;
const finished = aNodeWord('Finished', { containers: [success], startTime: '2026-11-23T10:00:05Z' });
const failed = { name: 'side', result: 'Failed', reason: 'NoSpace', message: 'full', attempts: 1 } as const;
const bare = { finalizers: [] };
const deleting = { deleting: true, deletedAtMs: CREATED_MS };

/** "Failed PodNotFound, Drop, remove, again in 5 s"; "-": the status stays. */
function said(facts: RequestFacts, world: RequestWorld): string {
  const { status, finalizer, remove, lookAgainMs } = judgeRequest(facts, world);
  const failed = status?.conditions?.find(({ type }) => type === 'Failed');
  return [
    status === null
      ? '-'
      : isHeldUp(status)
        ? 'held up'
        : [status.summary ?? '', ...(failed === undefined ? [] : [failed.reason])].join(' '),
    ...(finalizer === 'Keep' ? [] : [finalizer]),
    ...(remove ? ['remove'] : []),
    ...(lookAgainMs === null ? [] : [`again in ${(lookAgainMs / 1000).toString()} s`]),
  ].join(', ');
}

function isHeldUp({ conditions = [] }: CheckpointRequestStatus): boolean {
  return conditions.some(({ type, reason }) => type === 'Reconciling' && reason === 'ArchiveDeletionWaits');
}

describe('a request is judged', () => {
  test.each<[string, RequestFacts, RequestWorld, string]>([
    ['new, and all is fine', aRequest('New', {}, bare), aWorld(0), 'Queued (1), Add, again in 10 s'],
    [
      'new, far back',
      aRequest('New', {}, bare),
      aWorld(0, { position: 47 }),
      'Queued (~50), Add, again in 10 s',
    ],
    ['new, with its finalizer already', aRequest('New'), aWorld(0), 'Queued (1), again in 10 s'],
    [
      'new, Retain',
      aRequest('New', { archivePolicy: 'Retain' }, bare),
      aWorld(0),
      'Queued (1), again in 10 s',
    ],
    ['new, paused', aRequest('New', {}, bare), aWorld(0, { paused: true }), 'Failed CheckpointsPaused'],
    ['new, removal', aRequest('New'), aWorld(0, { removal: true }), 'Failed Withdrawn, Drop'],
    ['new, found too late', aRequest('New', {}, bare), aWorld(600), 'Failed DeadlineExceeded'],
    ['new, no pod', aRequest('New', {}, bare), aWorld(0, { pod: null }), 'Failed PodNotFound'],
    [
      'new, 999 wait',
      aRequest('New', {}, bare),
      aWorld(0, { waitingInNamespace: 999 }),
      'Queued (1), Add, again in 10 s',
    ],
    [
      'new, 1000 wait',
      aRequest('New', {}, bare),
      aWorld(0, { waitingInNamespace: 1000 }),
      'Failed QueueFull',
    ],
    ['new, being deleted', aRequest('New', {}, deleting), aWorld(0), '-, Drop'],
    ['new, being deleted for others', aRequest('New', {}, { ...deleting, ...bare }), aWorld(0), '-'],
    ['waits', aRequest('Waiting'), aWorld(100), 'Queued (1), again in 10 s'],
    ['waits, paused', aRequest('Waiting'), aWorld(100, { paused: true }), 'Queued (1), again in 10 s'],
    ['waits, its finalizer lost', aRequest('Waiting', {}, bare), aWorld(9), 'Queued (1), Add, again in 10 s'],
    ['waits, near its end', aRequest('Waiting'), aWorld(607, { ordered: true }), 'Queued (1), again in 3 s'],
    [
      'waits, 10 s after its deadline',
      aRequest('Waiting'),
      aWorld(610),
      'Failed DeadlineExceeded, Drop, again in 2 s',
    ],
    ['the same, ordered', aRequest('Waiting'), aWorld(610, { ordered: true }), '-, again in 2 s'],
    [
      'the same, started',
      aRequest('Waiting'),
      aWorld(610, { ordered: true, report: aNodeWord('Running') }),
      'Running, again in 2 s',
    ],
    [
      'the same, started, the order lost',
      aRequest('Waiting'),
      aWorld(610, { report: aNodeWord('Running') }),
      '-, again in 2 s',
    ],
    [
      'the same, the node only has it',
      aRequest('Waiting'),
      aWorld(610, { report: aNodeWord('Waiting') }),
      'Failed DeadlineExceeded, Drop, again in 2 s',
    ],
    ['waits, deleted', aRequest('Waiting', {}, deleting), aWorld(9), 'Failed Withdrawn, Drop, again in 2 s'],
    [
      'waits, deleted, ordered',
      aRequest('Waiting', {}, deleting),
      aWorld(9, { ordered: true }),
      '-, again in 2 s',
    ],
    [
      'waits, removal',
      aRequest('Waiting'),
      aWorld(9, { removal: true }),
      'Failed Withdrawn, Drop, again in 2 s',
    ],
    [
      'waits, its node gone',
      aRequest('Waiting'),
      aWorld(9, { node: gone, ordered: true }),
      'Failed NodeGone, Drop, again in 2 s',
    ],
    [
      'finished unseen',
      aRequest('Waiting'),
      aWorld(9, { ordered: true, report: finished }),
      'Complete, again in 2 s',
    ],
    [
      'the word of a node that was not ordered it',
      aRequest('Waiting'),
      aWorld(9, { report: finished }),
      'Queued (1), again in 10 s',
    ],
    [
      'runs',
      aRequest('Running', { timeoutSeconds: 30 }),
      aWorld(9, { ordered: true, report: aNodeWord('Running') }),
      'Running, again in 111 s',
    ],
    [
      'runs, nothing said',
      aRequest('Running', { timeoutSeconds: 30 }),
      aWorld(9, { ordered: true }),
      'Running, again in 111 s',
    ],
    [
      'runs, silent, 2 containers, in time',
      aRequest('Running', { timeoutSeconds: 30 }),
      aWorld(119, { node: silent }),
      'Running, again in 2 s',
    ],
    [
      'runs, silent, too long',
      aRequest('Running', { timeoutSeconds: 30 }),
      aWorld(120, { node: silent }),
      'Failed OutcomeUnknown, again in 2 s',
    ],
    [
      'runs, the agent answers',
      aRequest('Running', { timeoutSeconds: 30 }),
      aWorld(239),
      'Running, again in 2 s',
    ],
    [
      'runs, the agent answers, too long',
      aRequest('Running', { timeoutSeconds: 30 }),
      aWorld(240),
      'Failed OutcomeUnknown, again in 2 s',
    ],
    [
      'runs, its node gone',
      aRequest('Running'),
      aWorld(9, { node: gone }),
      'Failed OutcomeUnknown, again in 2 s',
    ],
    [
      'runs, deleted',
      aRequest('Running', { timeoutSeconds: 30 }, deleting),
      aWorld(9, { ordered: true }),
      'Running, again in 111 s',
    ],
    ['ends', aRequest('Running'), aWorld(9, { ordered: true, report: finished }), 'Complete, again in 2 s'],
    [
      'ends with its node',
      aRequest('Running'),
      aWorld(9, { node: gone, ordered: true, report: finished }),
      'Complete, again in 2 s',
    ],
    ['finished', aRequest('Complete', { ttlSecondsAfterFinished: 100 }), aWorld(90), '-, again in 10 s'],
    ['finished, for long', aRequest('Complete'), aWorld(90), '-, again in 3600 s'],
    [
      'finished, its time is over',
      aRequest('Complete', { ttlSecondsAfterFinished: 100 }),
      aWorld(100),
      '-, Drop, remove',
    ],
    [
      'the same, without finalizer',
      aRequest('Complete', { ttlSecondsAfterFinished: 100 }, bare),
      aWorld(100),
      '-, remove',
    ],
    ['finished, removal', aRequest('Complete'), aWorld(90, { removal: true }), '-, Drop, again in 3600 s'],
    ['finished, deleted', aRequest('Complete', {}, deleting), aWorld(9), '-, again in 51 s'],
    [
      'finished, deletion failed',
      aRequest('Complete', {}, deleting),
      aWorld(9, { deletion: 'Failed' }),
      '-, again in 51 s',
    ],
    [
      'finished, deleted a minute ago',
      aRequest('Complete', {}, deleting),
      aWorld(60),
      'held up, again in 60 s',
    ],
    [
      'finished, deleted a minute ago, archives gone',
      aRequest('Complete', {}, deleting),
      aWorld(60, { deletion: 'Deleted' }),
      '-, Drop',
    ],
    [
      'finished, archives gone',
      aRequest('Complete', {}, deleting),
      aWorld(9, { deletion: 'Deleted' }),
      '-, Drop',
    ],
    [
      'finished, archives pinned',
      aRequest('Complete', {}, deleting),
      aWorld(9, { deletion: 'Kept' }),
      '-, Drop',
    ],
    [
      'finished, deleted, node gone',
      aRequest('Complete', {}, deleting),
      aWorld(9, { node: gone }),
      '-, Drop',
    ],
    [
      'finished, deleted, removal',
      aRequest('Complete', {}, deleting),
      aWorld(9, { removal: true }),
      '-, Drop',
    ],
    ['finished, deleted, never started', aRequest('Failed', {}, deleting), aWorld(9), '-, Drop'],
    ['finished, deleted, ours is off', aRequest('Complete', {}, { ...deleting, ...bare }), aWorld(9), '-'],
  ])('%s', (_name, facts, world, expected) => {
    expect(said(facts, world)).toBe(expected);
  });
});

test('what is finished stays as it is, whatever the world says', () => {
  const worlds = fc.record({
    seconds: fc.integer({ min: 0, max: 2_000_000 }),
    paused: fc.boolean(),
    removal: fc.boolean(),
    ordered: fc.boolean(),
    state: fc.constantFrom('Waiting' as const, 'Running' as const, 'Finished' as const, null),
    node: fc.constantFrom(gone, silent, aWorld(0).node),
    deletes: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.constantFrom('Complete', 'Failed'),
      worlds,
      (state, { seconds, state: word, deletes, ...more }) => {
        const report = word === null ? null : aNodeWord(word);
        const facts = aRequest(state, {}, { deleting: deletes });
        const { status } = judgeRequest(facts, aWorld(seconds, { ...more, report }));
        // Of a deletion that is held up one condition more tells.
        const conditions = status?.conditions?.filter(({ type }) => type !== 'Reconciling');
        expect([null, facts.status]).toContainEqual(status === null ? null : { ...status, conditions });
      },
    ),
  );
});

test('no step goes back: from each state only to itself and later ones', () => {
  const order = ['New', 'Waiting', 'Running', 'Finished'];
  const worlds = fc.record({
    report: fc.constantFrom(null, aNodeWord('Waiting'), aNodeWord('Running'), finished),
    ordered: fc.boolean(),
    node: fc.constantFrom(gone, silent, aWorld(0).node),
    paused: fc.boolean(),
    removal: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.constantFrom('New', 'Waiting', 'Running'),
      fc.constantFrom(0, 605, 615, 100_000),
      worlds,
      (state, seconds, changes) => {
        const { status } = judgeRequest(aRequest(state), aWorld(seconds, changes));
        if (status !== null)
          expect(order.indexOf(stageOf({ status }))).toBeGreaterThanOrEqual(order.indexOf(state));
      },
    ),
  );
});

test('a refusal says what is wrong, with names, and what to do', () => {
  const { status } = judgeRequest(
    aRequest('New', { containerNames: ['app', 'x'] }, { finalizers: [FINALIZER] }),
    aWorld(0),
  );
  expect(status?.conditions?.[1]).toMatchObject({
    type: 'Failed',
    reason: 'ContainerNotFound',
    observedGeneration: 1,
    message: 'the pod web-1 has no container x; it has app, side, init',
  });
  expect(status?.hint).toBe('Name containers of the pod, or none for all of them.');
});

test.each<[string, ContainerResult[], string | undefined]>([
  ['that of the container', [{ ...failed, hint: 'delete some images' }], 'delete some images'],
  ['that of the reason', [failed], REASONS.NoSpace.remedy],
  [
    'that of the first that failed',
    [success, { ...failed, hint: 'one' }, { ...failed, name: 'last', hint: 'two' }],
    'one',
  ],
  ['that of Unclassified for no word at all', [], REASONS.Unclassified.remedy],
  ['none where all went well', [success], undefined],
])('what to do when it failed: %s', (_name, containers, hint) => {
  const world = aWorld(9, { ordered: true, report: aNodeWord('Finished', { containers }) });
  const { status } = judgeRequest(aRequest('Running'), world);
  expect(status?.hint).toBe(hint);
});
