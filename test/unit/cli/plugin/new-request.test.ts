import { describe, expect, test } from '@jest/globals';
import { CheckpointRequestSpecSchema } from '../../../../src/api/checkpoint-request.ts';
import { newRequest, type CheckpointWish } from '../../../../src/cli/plugin/new-request.ts';

const wish = (more: Partial<CheckpointWish> = {}): CheckpointWish => ({
  pod: 'web-0',
  namespace: 'shop',
  containerNames: [],
  skipChecks: [],
  keepArchive: false,
  ...more,
});

test('what is not asked for is left to the defaults of the API', () => {
  expect(newRequest(wish())).toEqual({
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointRequest',
    metadata: { generateName: 'web-0-', namespace: 'shop' },
    spec: { podName: 'web-0' },
  });
});

test('everything that can be asked for, and the API takes it', () => {
  const { spec } = newRequest(
    wish({
      pod: 'pod/web-0',
      containerNames: ['app', 'proxy', 'app'],
      containerTimeoutSeconds: 30,
      startDeadlineSeconds: 60,
      onGhostLimit: 'Fail',
      skipChecks: ['FreeSpace', 'FreeSpace'],
      keepArchive: true,
    }),
  );
  expect(spec).toEqual({
    podName: 'web-0',
    containerNames: ['app', 'proxy'],
    timeoutSeconds: 30,
    startDeadlineSeconds: 60,
    onGhostLimit: 'Fail',
    skipChecks: ['FreeSpace'],
    archivePolicy: 'Retain',
  });
  expect(CheckpointRequestSpecSchema.safeParse(spec).success).toBe(true);
});

test.each([['pod/web-0'], ['pods/web-0'], ['po/web-0'], ['web-0']])('%s is the pod web-0', (pod) => {
  expect(newRequest(wish({ pod })).spec).toEqual({ podName: 'web-0' });
});

test.each<[string, string, string]>([
  ['57 characters', 'a'.repeat(57), `${'a'.repeat(57)}-`],
  ['253 characters', 'a'.repeat(253), `${'a'.repeat(57)}-`],
  ['cut at a hyphen', `${'a'.repeat(55)}--b`, `${'a'.repeat(55)}-`],
  ['cut at a point', `${'a'.repeat(56)}.b`, `${'a'.repeat(56)}-`],
])('the name leaves room for the five characters of the server: %s', (_sentence, pod, generateName) => {
  expect(newRequest(wish({ pod })).metadata).toMatchObject({ generateName });
});

describe('refused before anybody is asked: exit 2', () => {
  test.each<[string, Partial<CheckpointWish>, string]>([
    ['capitals', { pod: 'Web' }, '"Web" cannot be the name of a pod'],
    ['nothing', { pod: '' }, '"" cannot be the name of a pod'],
    ['a leading hyphen', { pod: '-web' }, '"-web" cannot be the name of a pod'],
    ['two points', { pod: 'a..b' }, '"a..b" cannot be the name of a pod'],
    ['254 characters', { pod: 'a'.repeat(254) }, 'cannot be the name of a pod'],
    ['a terminal escape', { pod: 'a\u001b[2J' }, String.raw`"a\x1b[2J" cannot be the name of a pod`],
    ['a Deployment', { pod: 'deployment/web' }, 'is taken of a pod, not of a deployment'],
    ['two slashes', { pod: 'pod/a/b' }, '"a/b" cannot be the name of a pod'],
    ['a container with a point', { containerNames: ['a.b'] }, '"a.b" cannot be the name of a container'],
    ['a namespace with a slash', { namespace: 'a/b' }, '"a/b" cannot be the name of a namespace'],
    [
      '17 containers',
      { containerNames: Array.from({ length: 17 }, (_none, index) => `c${index}`) },
      'at most 16',
    ],
  ])('%s', (_sentence, more, message) => {
    expect(() => newRequest(wish(more))).toThrow(
      expect.objectContaining({
        name: 'CommandFailure',
        exitCode: 2,
        message: expect.stringContaining(message),
      }),
    );
  });
});
