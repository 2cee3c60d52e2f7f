import { expect, test } from '@jest/globals';
import {
  CLEANUP_WAIT_MS,
  decideCleanup,
  type CleanupDecision,
  type CleanupInput,
} from '../../../../src/domain/rollup/policy-cleanup.ts';

const deleting: CleanupInput = {
  deletingForMs: 0,
  hasFinalizer: true,
  planned: false,
  holding: [],
  removal: false,
};
const readyNode = { nodeName: 'n1', ready: true };
const deadNode = { nodeName: 'n2', ready: false };

test.each<[string, Partial<CleanupInput>, CleanupDecision]>([
  ['a new policy gets it', { deletingForMs: null, hasFinalizer: false }, { kind: 'AddFinalizer' }],
  ['once is enough', { deletingForMs: null }, { kind: 'Nothing' }],
  [
    'not while all is taken back',
    { deletingForMs: null, hasFinalizer: false, removal: true },
    { kind: 'Nothing' },
  ],
  ['nothing to do without it', { hasFinalizer: false }, { kind: 'Nothing' }],
  ['still in the plan', { planned: true }, { kind: 'Wait' }],
  ['a node that answers still holds it', { holding: [readyNode] }, { kind: 'Wait' }],
  ['every node has let go', {}, { kind: 'DropFinalizer', left: [] }],
  ['a dead node is not waited for', { holding: [deadNode] }, { kind: 'DropFinalizer', left: ['n2'] }],
  [
    'a silent agent is waited for a minute',
    { holding: [readyNode, deadNode], deletingForMs: CLEANUP_WAIT_MS - 1 },
    { kind: 'Wait' },
  ],
  [
    'and no longer',
    { holding: [readyNode, deadNode], deletingForMs: CLEANUP_WAIT_MS },
    { kind: 'DropFinalizer', left: ['n1', 'n2'] },
  ],
  [
    'a plan that cannot be written does not hold it for ever',
    { planned: true, deletingForMs: CLEANUP_WAIT_MS },
    { kind: 'DropFinalizer', left: [] },
  ],
])('%s', (_, changes, decision) => {
  expect(decideCleanup({ ...deleting, ...changes })).toEqual(decision);
});
