import { describe, expect, test } from '@jest/globals';
import { explainRefusal } from '../../../../src/cli/plugin/explain-refusal.ts';
import { KubeApiError, KubeUnreachable } from '../../../../src/ports/kube-api.ts';
import { pluginWorld } from './plugin-fixture.ts';

const place = { namespace: 'shop', kubectl: 'kubectl --context lab' };
const refusal = (status: number, message: string) =>
  new KubeApiError(message, { status, reason: '', retryAfterMs: null });

describe('what the API server says comes out as what it means and what to do', () => {
  // The words of kube-apiserver 1.37; test/kube/plugin.test.ts has them from the real one.
  test.each<[string, Error, string]>([
    [
      'our admission policy',
      refusal(
        403,
        `checkpointrequests.ghostlimit.dev "web-0-x" is forbidden: ValidatingAdmissionPolicy 'checkpoint-right.ghostlimit.dev' with binding 'checkpoint-right.ghostlimit.dev' denied request: spec.podName: web-0: jane may not create pods/exec in the namespace shop, and a checkpoint reads the memory of the pod: have that right granted`,
      ),
      'not allowed: spec.podName: web-0: jane may not create pods/exec in the namespace shop, and a checkpoint reads the memory of the pod: have that right granted',
    ],
    [
      "somebody else's admission policy",
      refusal(
        403,
        `... ValidatingAdmissionPolicy 'freeze.example.com' with binding 'b' denied request: not today`,
      ),
      `not allowed: ... ValidatingAdmissionPolicy 'freeze.example.com' with binding 'b' denied request: not today`,
    ],
    [
      'no right to create',
      refusal(403, 'requests are forbidden: User "jane" cannot create resource "checkpointrequests"'),
      'not allowed: requests are forbidden: User "jane" cannot create resource "checkpointrequests": have the ClusterRole edit (or ghostlimit-edit, with create of pods/exec) bound to you in the namespace shop',
    ],
    [
      'no such kind',
      refusal(404, 'POST /apis/x: 404 page not found'),
      'this cluster does not know CheckpointRequests (POST /apis/x: 404 page not found): install ghostlimit there ("kubectl --context lab apply --server-side -f deploy/install.yaml"), or choose another --context; see "kubectl --context lab get deployments -n ghostlimit-system"',
    ],
    [
      'no such namespace',
      refusal(404, 'namespaces "shop" not found'),
      'there is no namespace "shop": "kubectl --context lab get namespaces" lists them',
    ],
    [
      'credentials',
      refusal(401, 'Unauthorized'),
      'the API server does not know you: Unauthorized: log in again, or choose another --context',
    ],
    [
      'too much to do',
      refusal(429, 'too many requests'),
      'the API server has too much to do: too many requests: nothing was created; try again',
    ],
    ['anything else', refusal(422, 'spec: is odd'), 'the API server refuses the request: spec: is odd'],
    [
      'nobody there',
      new KubeUnreachable('POST /apis/x: connect ECONNREFUSED 127.0.0.1:1'),
      'the API server does not answer: POST /apis/x: connect ECONNREFUSED 127.0.0.1:1: nothing was created; check --context and --kubeconfig, and try "kubectl --context lab cluster-info"',
    ],
    [
      'the answer is lost',
      new KubeUnreachable('POST /apis/x: no answer within 30 s'),
      'the API server does not answer: POST /apis/x: no answer within 30 s: whether the request was created is not known; see "kubectl --context lab -n shop get checkpointrequests" before trying again',
    ],
  ])('%s', (_sentence, error, message) => {
    expect(explainRefusal(error, place)).toMatchObject({ name: 'CommandFailure', exitCode: 1, message });
  });

  test('what is no answer of a server stays what it is', () => {
    const error = new TypeError('a mistake of ours');
    expect(explainRefusal(error, place)).toBe(error);
  });
});

test('a creation that is refused is not tried again', async () => {
  const world = pluginWorld();
  world.kube.faults.next({ verb: 'create' }, { kind: 'unreachable', moment: 'after' });
  expect(await world.start()).toMatchObject({
    exitCode: 1,
    message: expect.stringContaining('whether the request was created is not known'),
  });
  expect(world.kube.callsOf({ verb: 'create' })).toHaveLength(1);
  expect(world.request()).not.toBeNull();
});
