import { describe, expect, test } from '@jest/globals';
import { identityIn, NO_IDENTITY, parseDump } from '../../../../src/adapters/archives/archive-identity.ts';

const CONFIG = {
  id: 'f00d'.repeat(16),
  name: 'k8s_app_checkout-1_shop_uid-1_0',
  checkpointedTime: '2026-11-23T22:18:04.123456789Z',
};

describe('who a checkpoint is of', () => {
  test('containerd: its annotations', () => {
    const annotations = {
      'io.kubernetes.cri.container-name': 'app',
      'io.kubernetes.cri.sandbox-name': 'checkout-1',
      'io.kubernetes.cri.sandbox-namespace': 'shop',
      'io.kubernetes.cri.sandbox-uid': 'uid-1',
      'io.kubernetes.pod.uid': 'of the pod, which may be forged',
    };
    expect(identityIn(CONFIG, { annotations })).toEqual({
      containerId: 'f00d'.repeat(16),
      containerName: 'app',
      podName: 'checkout-1',
      podNamespace: 'shop',
      podUID: 'uid-1',
      checkpointedTime: '2026-11-23T22:18:04.123456789Z',
    });
  });

  test("CRI-O: the kubelet's labels as annotations", () => {
    const annotations = {
      'io.container.manager': 'cri-o',
      'io.kubernetes.container.name': 'app',
      'io.kubernetes.pod.name': 'checkout-1',
      'io.kubernetes.pod.namespace': 'shop',
      'io.kubernetes.pod.uid': 'uid-1',
    };
    expect(identityIn(CONFIG, { annotations })).toMatchObject({
      containerName: 'app',
      podName: 'checkout-1',
      podNamespace: 'shop',
      podUID: 'uid-1',
    });
  });

  test('Podman: a name, and no pod', () => {
    const config = { ...CONFIG, name: 'web', checkpointedTime: '2026-11-23T22:18:04+02:00' };
    expect(identityIn(config, { annotations: { 'io.container.manager': 'libpod' } })).toEqual({
      ...NO_IDENTITY,
      containerId: 'f00d'.repeat(16),
      containerName: 'web',
      checkpointedTime: '2026-11-23T22:18:04+02:00',
    });
  });

  test.each([
    ['nothing', null, null],
    ['things of other kinds', { id: 7, name: ['a'], checkpointedTime: {} }, { annotations: 'none' }],
    ['empty and endless texts', { id: '', name: 'n'.repeat(254) }, { annotations: ['a'] }],
    ['the year 1, as Go has it for no time', { checkpointedTime: '0001-01-01T00:00:00Z' }, {}],
    ['a time that is none', { checkpointedTime: '2026-99-99T00:00:00Z' }, {}],
    ['a time with words', { checkpointedTime: 'yesterday' }, {}],
  ])('of %s nothing is told', (_, config, spec) => {
    expect(identityIn(config, spec)).toEqual(NO_IDENTITY);
  });

  test.each(['', '{', 'null', '[]', '7', '"text"', '\xff'])('%j is no dump', (text) => {
    expect(parseDump(Buffer.from(text, 'latin1'))).toBeNull();
  });

  test('names of the language itself are no danger', () => {
    const parsed = parseDump(Buffer.from('{"__proto__": {"id": "x"}, "annotations": {"constructor": "y"}}'));
    expect(identityIn(parsed, parsed)).toEqual(NO_IDENTITY);
  });
});
