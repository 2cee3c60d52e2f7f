// A lab's API server: real, reachable from here, two at once, and gone without a trace.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startControlPlane } from '../../hack/kube/control-plane.ts';
import type { ControlPlane } from '../../hack/kube/control-plane.ts';
import { requestApi } from '../../hack/kube/api-request.ts';
import { eventually } from './eventually.ts';
import { cgroupsNamed, firstLine, isLive, mountsOfLabs, processesWith, startStarter } from './starter.ts';

const AGENT = 'system:serviceaccount:ghostlimit-system:ghostlimit-agent';
const namespace = (name: string): unknown => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

const namespaces = async (plane: ControlPlane): Promise<string[]> => {
  const { text } = await plane.request({ path: '/api/v1/namespaces' });
  return (JSON.parse(text) as { items: { metadata: { name: string } }[] }).items.map(
    ({ metadata }) => metadata.name,
  );
};

describe('two control planes at once', () => {
  let planes: readonly [ControlPlane, ControlPlane];
  beforeAll(async () => {
    const [one, other] = await Promise.all([
      startControlPlane({ users: [{ name: 'jane', groups: ['developers'] }, { name: AGENT }] }),
      startControlPlane({ apiServerArgs: ['--disable-admission-plugins=ServiceAccount'] }),
    ]);
    planes = [one, other];
  });
  afterAll(async () => {
    await Promise.all(planes.map((plane) => plane.stop()));
  });

  test('know nothing of each other', async () => {
    const [one, other] = planes;
    const made = await one.request({ path: '/api/v1/namespaces', method: 'POST', body: namespace('mine') });
    expect(made.status).toBe(201);
    expect(await namespaces(one)).toContain('mine');
    expect(await namespaces(other)).not.toContain('mine');
    expect(await namespaces(other)).toContain('default');
  });

  test('users are who they should be', async () => {
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const who = async (user: string): Promise<unknown> => {
      const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
      const { text } = await planes[0].request({ path, method: 'POST', body: review, user });
      return (JSON.parse(text) as { status: { userInfo: unknown } }).status.userInfo;
    };
    expect(await who('jane')).toMatchObject({
      username: 'jane',
      groups: ['developers', 'system:authenticated'],
    });
    expect(await who(AGENT)).toMatchObject({
      username: AGENT,
      groups: ['system:serviceaccounts', 'system:serviceaccounts:ghostlimit-system', 'system:authenticated'],
    });
    expect(await who('admin')).toMatchObject({ groups: ['system:masters', 'system:authenticated'] });
  });

  test('a user may do what RBAC lets it, and a stranger nothing', async () => {
    const [plane] = planes;
    const pods = '/api/v1/namespaces/default/pods';
    expect((await plane.request({ path: pods, user: 'jane' })).status).toBe(403);
    await plane.kubectl(['create', 'clusterrole', 'reads-pods', '--verb=list', '--resource=pods']);
    await plane.kubectl(['create', 'clusterrolebinding', 'jane', '--clusterrole=reads-pods', '--user=jane']);
    await eventually('the role to count', async () =>
      (await plane.request({ path: pods, user: 'jane' })).status === 200 ? true : null,
    );
    expect((await requestApi(plane, { path: pods, token: plane.tokenOf('stranger') })).status).toBe(401);
  });

  test('a service account gets a real token, bound to a node', async () => {
    const [plane] = planes;
    await plane.kubectl(['create', 'serviceaccount', 'agent']);
    await plane.kubectl(['create', '-f', '-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node1' } }),
    });
    const bound = ['--bound-object-kind=Node', '--bound-object-name=node1'];
    const token = (await plane.kubectl(['create', 'token', 'agent', ...bound])).trim();
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const { text } = await requestApi(plane, { path, token, method: 'POST', body });
    expect(JSON.parse(text)).toMatchObject({
      status: {
        userInfo: {
          username: 'system:serviceaccount:default:agent',
          extra: { 'authentication.kubernetes.io/node-name': ['node1'] },
        },
      },
    });
  });

  test('pods can be made where no controller makes service accounts', async () => {
    const container = { name: 'c', image: 'none' };
    const body = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [container] },
    };
    const path = '/api/v1/namespaces/default/pods';
    expect((await planes[1].request({ path, method: 'POST', body })).status).toBe(201);
  });

  test("programs run in the lab's network with this machine's files", async () => {
    const [plane] = planes;
    const { code, stdout } = await plane.exec(['cat', '/proc/net/fib_trie', import.meta.filename]);
    expect(code).toBe(0);
    expect(stdout).toContain('172.30.0.1\n');
    expect(stdout).toContain("programs run in the lab's network");
    expect(await plane.kubectl(['config', 'view', '--minify', '-o', 'jsonpath={..server}'])).toBe(
      'https://10.96.0.1:443',
    );
  });

  test('a killed API server answers nobody; started again it has all that was written', async () => {
    const [plane] = planes;
    await plane.request({ path: '/api/v1/namespaces', method: 'POST', body: namespace('kept') });
    await plane.apiServer.kill();
    expect(plane.apiServer.isRunning()).toBe(false);
    await expect(plane.request({ path: '/readyz' })).rejects.toThrow(/ECONNRESET|socket hang up/);
    await plane.restartApiServer();
    expect(await namespaces(plane)).toContain('kept');
  });
});

describe('when it does not start', () => {
  test('the end of the logs says why, and nothing is left', async () => {
    const failing = startControlPlane({ apiServerArgs: ['--no-such-flag=1'] });
    await expect(failing).rejects.toThrow(
      /API server is not ready.*kube-apiserver \(does not run\):.*unknown flag: --no-such-flag/s,
    );
    expect(mountsOfLabs()).toEqual([]);
  });
});

describe('when whoever started it is killed', () => {
  const text = `
    const plane = await startControlPlane();
    console.log(JSON.stringify({ pid: plane.node.initPid, cgroup: plane.node.cgroupName }));`;

  test('once it is up: nothing is left', async () => {
    const mark = `plane-${process.pid}`;
    const starter = startStarter('control-plane.ts', 'startControlPlane', text, mark);
    const { pid, cgroup } = JSON.parse(await firstLine(starter)) as { pid: number; cgroup: string };
    expect(isLive(pid)).toBe(true);
    expect(cgroupsNamed(cgroup)).not.toEqual([]);
    starter.kill('SIGKILL');
    await eventually('its end', () =>
      Promise.resolve(!isLive(pid) && processesWith(mark).length === 0 ? true : null),
    );
    await eventually('its cgroups to go', () =>
      Promise.resolve(cgroupsNamed(cgroup).length === 0 ? true : null),
    );
    expect(mountsOfLabs()).toEqual([]);
  });

  test.each([200, 500, 1000, 2000])('%i ms after the start: nothing is left', async (delayMs) => {
    const mark = `plane-${process.pid}-${delayMs}`;
    const starter = startStarter('control-plane.ts', 'startControlPlane', text, mark);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    starter.kill('SIGKILL');
    await eventually('its end', () => Promise.resolve(processesWith(mark).length === 0 ? true : null));
    expect(mountsOfLabs()).toEqual([]);
  });
});
