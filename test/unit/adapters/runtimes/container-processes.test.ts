import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  containerIdIn,
  containerOf,
  createContainerProcesses,
  type ContainerProcesses,
} from '../../../../src/adapters/runtimes/container-processes.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';
import { fakeNodeRoot, type FakeNodeRoot } from './fake-node-root.ts';

const ID = 'a1'.repeat(32);
const OTHER = 'b2'.repeat(32);
const both = new Set([ID, OTHER]);
const POD = 'pod0b1c-22';

describe('the container of a cgroup', () => {
  test.each([
    [ID, ID],
    [`cri-containerd-${ID}.scope`, ID],
    [`crio-${ID}.scope`, ID],
    [`docker-${ID}.scope`, ID],
    [`kubepods-besteffort-${POD}.slice:cri-containerd:${ID}`, ID],
    [`crio-conmon-${ID}.scope`, null],
    [`libpod-conmon-${ID}.scope`, null],
    [`kubepods-besteffort-${POD}.slice`, null],
    [ID.slice(1), null],
    [`${ID}0`, null],
    [`x${ID}`, null],
    ['', null],
  ])('directory %s', (segment, id) => {
    expect(containerIdIn(segment)).toBe(id);
  });

  test.each([
    [
      'v1, cgroupfs',
      `12:pids:/kubepods/besteffort/${POD}/${ID}\n1:name=systemd:/kubepods/besteffort/${POD}/${ID}\n`,
    ],
    ['v1, systemd', `4:freezer:/kubepods.slice/kubepods-${POD}.slice/cri-containerd-${ID}.scope\n`],
    ['v2, cgroupfs', `0::/kubepods/burstable/${POD}/${ID}\n`],
    ['v2, systemd', `0::/kubepods.slice/kubepods-${POD}.slice/crio-${ID}.scope/container\n`],
    ['hybrid: only v1 has a path', `4:freezer:/kubepods/${POD}/${ID}\n0::/\n`],
    ['seen from another cgroup namespace', `0::/../../${POD}/${ID}\n`],
    ['with a container of its own in it', `0::/kubepods/${POD}/${ID}/docker/${OTHER}\n`],
  ])('%s', (_, text) => {
    expect(containerOf(text, both)).toBe(ID);
  });

  test.each([
    ['another container', `0::/kubepods/${POD}/${'c3'.repeat(32)}\n`],
    ['none', '0::/system.slice/containerd.service\n'],
    ['nothing', ''],
  ])('%s', (_, text) => {
    expect(containerOf(text, both)).toBeNull();
  });
});

describe('init processes', () => {
  let root: FakeNodeRoot;
  let clock: FakeClock;
  let processes: ContainerProcesses;
  const cgroup = `0::/kubepods/${POD}/${ID}\n`;
  beforeEach(() => {
    root = fakeNodeRoot();
    clock = new FakeClock();
    processes = createContainerProcesses(root.procRoot, clock);
  });
  afterEach(() => {
    root.dispose();
  });
  const pids = async (...ids: string[]): Promise<[string, number][]> => [...(await processes.initPids(ids))];

  test('the one whose parent is outside; what `exec` started came later; a zombie is none', async () => {
    root.process(10, { cgroup: '0::/system.slice/containerd.service\n' });
    root.process(900, { cgroup, parentPid: 10, startTicks: 200 });
    root.process(901, { cgroup, parentPid: 900, startTicks: 150 });
    root.process(30, { cgroup, parentPid: 10, startTicks: 300 });
    root.process(29, { cgroup, parentPid: 10, startTicks: 100, state: 'Z' });
    expect(await pids(ID, OTHER)).toEqual([[ID, 900]]);
  });

  test('is told of another process when it has ended and its pid was given again', async () => {
    root.process(900, { cgroup, startTicks: 200 });
    expect(await pids(ID)).toEqual([[ID, 900]]);
    root.process(900, { cgroup: '0::/\n', startTicks: 500 });
    expect(await pids(ID)).toEqual([]);
  });

  test('a container that was not found is looked for again after a minute only', async () => {
    expect(await pids(ID)).toEqual([]);
    root.process(900, { cgroup });
    clock.jump(59_000);
    expect(await pids(ID)).toEqual([]);
    clock.jump(1_000);
    expect(await pids(ID)).toEqual([[ID, 900]]);
  });

  test('one that nobody asked for meanwhile is looked for at once', async () => {
    expect(await pids(ID)).toEqual([]);
    expect(await pids()).toEqual([]);
    root.process(900, { cgroup });
    expect(await pids(ID)).toEqual([[ID, 900]]);
  });
});
