// The operator when parts of it, or the API server, are killed: what is in force stays, what is asked for comes, and nobody floods the server.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { aPolicy, isReady, startOperatorLab, SYSTEM, type OperatorLab } from './operator-lab.ts';

const SLEEP = ['/bin/sleep', '1000000'];
const CONTROLLERS = 'app.kubernetes.io/component=controller';

let lab: OperatorLab;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 3, replicas: 2 });
  await lab.runPod({ name: 'one', nodeName: 'node1', labels: { app: 'known' }, command: SLEEP });
  await lab.apply(aPolicy('known', { fixed: '3Mi' }));
  await lab.untilPolicy('known', 'in force', (seen) => seen.summary === '1/1' && isReady(seen));
});
afterAll(() => lab.stop());

const limit =
  (bytes: number) =>
  (text: string | null): boolean =>
    text?.includes(`\nghost-limit ${bytes.toString()}\n`) === true;

/** Name of the pod that holds the lease; null: nobody. */
async function leader(): Promise<string | null> {
  const holder = await lab.kubectl(
    ...['-n', SYSTEM, 'get', 'lease', 'ghostlimit-controller'],
    ...['-o', 'jsonpath={.spec.holderIdentity}'],
  );
  return holder === '' ? null : (holder.split('_')[0] ?? null);
}

interface PodObject {
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly containerStatuses: readonly { readonly containerID: string }[] };
}

/** Sends the signal to the program in the pod, from its node: nobody else learns of it. */
async function signalPod(name: string, signal: 'KILL' | 'TERM'): Promise<void> {
  const pod = JSON.parse(await lab.kubectl('-n', SYSTEM, 'get', 'pod', name, '-o', 'json')) as PodObject;
  const id = (pod.status.containerStatuses[0]?.containerID ?? '').replace('containerd://', '');
  const root = '/run/containerd/runc/k8s.io';
  await lab.cluster.nodeNamed(pod.spec.nodeName).run(['runc', '--root', root, 'kill', id, signal]);
}

describe('the leading controller is killed', () => {
  test.each(['KILL', 'TERM'] as const)(
    'SIG%s: a policy applied at that moment reaches the node',
    async (signal) => {
      const before = await lab.until('a leader', leader);
      const name = `after-${signal.toLowerCase()}`;
      await lab.runPod({ name, nodeName: 'node2', command: SLEEP });
      await signalPod(before, signal);
      await lab.apply(aPolicy(name, { fixed: '6Mi' }));
      await lab.untilConf('node2', 'the new limit', limit(6_291_456));
      await lab.untilPolicy(name, 'in force', isReady);
      await lab.kubectl('delete', 'checkpointpolicy', name, '--timeout=60s');
      await lab.untilConf('node2', 'to be gone', (text) => text === null);
      await lab.deletePod(name);
    },
  );
});

test('without any controller files stay, and a new pod of a known policy is served', async () => {
  await lab.kubectl('-n', SYSTEM, 'scale', 'deployment/ghostlimit-controller', '--replicas=0');
  await lab.until('the controllers to go', async () =>
    (await lab.kubectl('-n', SYSTEM, 'get', 'pods', '-l', CONTROLLERS, '-o', 'name')) === '' ? true : null,
  );
  expect(limit(3_145_728)(await lab.conf('node1'))).toBe(true);
  await lab.runPod({ name: 'two', nodeName: 'node3', labels: { app: 'known' }, command: SLEEP });
  await lab.untilConf('node3', 'the limit of the known policy', limit(3_145_728));

  await lab.kubectl('-n', SYSTEM, 'scale', 'deployment/ghostlimit-controller', '--replicas=2');
  const status = await lab.untilPolicy('known', 'both nodes', (seen) => seen.summary === '2/2');
  expect(isReady(status)).toBe(true);
});

describe('the API server is killed and started again', () => {
  test('nothing is lost, and what is asked for afterwards comes', async () => {
    await lab.cluster.apiServer.kill();
    expect(limit(3_145_728)(await lab.conf('node1'))).toBe(true);
    await lab.cluster.nodeNamed('node1').run(['sh', '-c', 'printf "# hand-made\\n" > /etc/criu/runc.conf']);
    // The agent goes on with what it knows.
    expect(await lab.untilConf('node1', 'our lines again', limit(3_145_728))).toMatch(/^# hand-made\n/);
    await lab.cluster.restartApiServer();
    await lab.apply(aPolicy('known', { fixed: '7Mi' }));
    await lab.untilConf('node1', 'the new limit', limit(7_340_032));
    await lab.untilConf('node3', 'the new limit', limit(7_340_032));
    await lab.untilPolicy('known', 'both nodes', (seen) => seen.summary === '2/2' && isReady(seen));
  });

  test('and at rest the operator asks for next to nothing', async () => {
    const started = await requestsOfOperator();
    await new Promise((resolve) => setTimeout(resolve, 30_000));
    const asked = (await requestsOfOperator()) - started;
    // Two controllers renew or read their lease each 2 s; a hot loop of any part would make hundreds.
    expect(asked).toBeLessThan(100);
  });
});

/** Requests that the server answered for kinds and leases that only the operator uses. Watches count when they end. */
async function requestsOfOperator(): Promise<number> {
  const metrics = await lab.kubectl('get', '--raw', '/metrics');
  return metrics
    .split('\n')
    .filter((line) =>
      /^apiserver_request_total\{.*(group="ghostlimit.dev"|resource="leases"|resource="daemonsets")/.test(
        line,
      ),
    )
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
