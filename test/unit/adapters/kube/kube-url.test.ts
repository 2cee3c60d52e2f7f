import { describe, expect, test } from '@jest/globals';
import {
  collectionPath,
  creationPath,
  objectPath,
  queryString,
} from '../../../../src/adapters/kube/kube-url.ts';
import { CHECKPOINT_NODES, CHECKPOINT_POLICIES, PODS } from '../../../../src/api/kube-resources.ts';
import { KubeApiError } from '../../../../src/ports/kube-api.ts';

describe('paths', () => {
  test.each([
    [collectionPath(PODS, undefined), '/api/v1/pods'],
    [collectionPath(PODS, 'shop'), '/api/v1/namespaces/shop/pods'],
    [objectPath(PODS, { namespace: 'shop', name: 'a.b' }), '/api/v1/namespaces/shop/pods/a.b'],
    [objectPath(PODS, { namespace: 'shop', name: 'a' }, 'status'), '/api/v1/namespaces/shop/pods/a/status'],
    [
      objectPath(CHECKPOINT_POLICIES, { namespace: 'shop', name: 'x' }),
      '/apis/ghostlimit.dev/v1alpha1/namespaces/shop/checkpointpolicies/x',
    ],
    [
      objectPath(CHECKPOINT_NODES, { name: 'n 1?#' }),
      '/apis/ghostlimit.dev/v1alpha1/checkpointnodes/n%201%3F%23',
    ],
    [creationPath(CHECKPOINT_NODES, undefined), '/apis/ghostlimit.dev/v1alpha1/checkpointnodes'],
  ])('%j', (path, expected) => {
    expect(path).toBe(expected);
  });

  test.each(['', '.', '..', 'a/b', '%2e%2e'])('the name %j makes no path', (name) => {
    expect(() => objectPath(CHECKPOINT_NODES, { name })).toThrow(KubeApiError);
    expect(() => objectPath(PODS, { namespace: name, name: 'a' })).toThrow(KubeApiError);
  });

  test('the scope must fit', () => {
    expect(() => creationPath(PODS, undefined)).toThrow('an object of pods needs a namespace');
    expect(() => collectionPath(CHECKPOINT_NODES, 'shop')).toThrow('checkpointnodes have no namespace');
  });
});

describe('queryString', () => {
  test.each([
    [{}, ''],
    [{ a: undefined }, ''],
    [
      { labelSelector: 'a=b,c in (d)', limit: 500, watch: true, continue: undefined },
      '?labelSelector=a%3Db%2Cc%20in%20(d)&limit=500&watch=true',
    ],
  ])('%j', (values, expected) => {
    expect(queryString(values)).toBe(expected);
  });
});
