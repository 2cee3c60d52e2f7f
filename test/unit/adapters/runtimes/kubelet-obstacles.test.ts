import { describe, expect, test } from '@jest/globals';
import { KubeletNotVerified } from '../../../../src/adapters/runtimes/kubelet-connection.ts';
import {
  failureObstacle,
  probeObstacle,
  unreachableObstacle,
} from '../../../../src/adapters/runtimes/kubelet-obstacles.ts';
import { RuntimeUnavailable } from '../../../../src/ports/container-runtime.ts';

const FORBIDDEN =
  'Forbidden (user=system:serviceaccount:ghostlimit-system:ghostlimit-agent, verb=create, resource=nodes, subresource(s)=[checkpoint])\n';
const failed = (inner: string): string => `checkpointing of default/p/c failed (${inner})`;

// Bodies: real ones of Kubernetes 1.37.2, and those of its source.
describe('what a kubelet says to a checkpoint of nobody', () => {
  test.each([
    [404, '404 page not found\n', 'FeatureGateOff'],
    [401, 'Unauthorized', 'Unauthorized'],
    [403, FORBIDDEN, 'Unauthorized'],
    [
      500,
      'Authorization error (user=x, verb=create, resource=nodes, subresource=[checkpoint])',
      'RuntimeUnavailable',
    ],
    [404, 'pod does not exist', null],
    [404, 'container nobody does not exist', null],
  ])('%i %s', (status, body, reason) => {
    expect(probeObstacle({ status, body })?.reason ?? null).toBe(reason);
  });
});

describe('what a failed checkpoint says of all others', () => {
  test.each([
    [
      500,
      failed('rpc error: code = Unimplemented desc = method CheckpointContainer not implemented'),
      'RuntimeUnsupported',
    ],
    [
      500,
      failed(
        'rpc error: code = Unimplemented desc = unknown method CheckpointContainer for service runtime.v1.RuntimeService',
      ),
      'RuntimeUnsupported',
    ],
    [
      500,
      failed('rpc error: code = Unknown desc = checkpoint/restore support not available'),
      'FeatureGateOff',
    ],
    [
      500,
      failed(
        'rpc error: code = Unknown desc = failed to checkpoint container "x": criu binary not found in shim path or system PATH',
      ),
      'CriuMissing',
    ],
    [500, failed('container c not found'), null],
    [500, failed('rpc error: code = DeadlineExceeded desc = context deadline exceeded'), null],
    [403, FORBIDDEN, null],
    [404, '404 page not found\n', null],
    [404, 'container nope does not exist', null],
  ])('%i %s', (status, body, reason) => {
    expect(failureObstacle({ status, body })?.reason ?? null).toBe(reason);
  });
});

test('a kubelet that cannot be reached, and one that cannot be verified', () => {
  expect(unreachableObstacle(new RuntimeUnavailable('connect ECONNREFUSED')).message).toBe(
    'The kubelet does not answer: connect ECONNREFUSED',
  );
  expect(unreachableObstacle(new KubeletNotVerified('CERT_HAS_EXPIRED')).message).toBe(
    'The serving certificate of the kubelet cannot be verified: CERT_HAS_EXPIRED',
  );
});
