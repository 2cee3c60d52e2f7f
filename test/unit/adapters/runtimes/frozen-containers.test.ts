import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { isFrozen } from '../../../../src/adapters/runtimes/frozen-containers.ts';
import { fakeNodeRoot, type FakeNodeRoot } from './fake-node-root.ts';

const ID = 'a1'.repeat(32);
const OTHER = 'b2'.repeat(32);
const V1 = `sys/fs/cgroup/freezer/kubepods/besteffort/pod1/${ID}`;
const V2 = `sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/cri-containerd-${ID}.scope`;
let root: FakeNodeRoot;
beforeEach(() => {
  root = fakeNodeRoot();
});
afterEach(() => {
  root.dispose();
});

test.each([
  ['THAWED', false],
  ['FREEZING', true],
  ['FROZEN', true],
])('cgroup v1: %s', async (state, frozen) => {
  root.write(`${V1}/freezer.state`, `${state}\n`);
  expect(await isFrozen(root.path, ID)).toBe(frozen);
});

test.each([
  ['0', '0', false],
  ['1', '0', true],
  ['0', '1', true],
  ['1', '1', true],
])('cgroup v2: cgroup.freeze %s, frozen %s', async (wanted, now, frozen) => {
  root.write(`${V2}/cgroup.freeze`, `${wanted}\n`);
  root.write(`${V2}/cgroup.events`, `populated 1\nfrozen ${now}\n`);
  expect(await isFrozen(root.path, ID)).toBe(frozen);
});

test('the cgroup that crun makes below the scope counts', async () => {
  root.write(`${V2}/cgroup.freeze`, '0\n');
  root.write(`${V2}/cgroup.events`, 'frozen 0\n');
  root.write(`${V2}/container/cgroup.freeze`, '1\n');
  root.write(`${V2}/container/cgroup.events`, 'frozen 1\n');
  expect(await isFrozen(root.path, ID)).toBe(true);
});

test('another container tells nothing of this one, and neither does one that it runs in', async () => {
  root.write(`sys/fs/cgroup/kubepods/pod1/${OTHER}/${ID}/cgroup.freeze`, '1\n');
  root.write(`sys/fs/cgroup/kubepods/pod1/${OTHER}/${ID}/cgroup.events`, 'frozen 1\n');
  expect(await isFrozen(root.path, ID)).toBeNull();
});

test('no cgroup file system here', async () => {
  expect(await isFrozen(root.path, ID)).toBeNull();
});
