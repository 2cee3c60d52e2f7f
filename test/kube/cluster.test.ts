// The lab's Kubernetes of three nodes: real, quick to hurt and to mend, and gone without a trace.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { startCluster } from '../../hack/kube/cluster.ts';
import type { Cluster } from '../../hack/kube/cluster.ts';
import { KUBERNETES_VERSION } from '../../hack/kube/kube-binaries.ts';
import { ensureBusyboxImage } from '../../hack/kube/test-images.ts';
import type { TestImage } from '../../hack/kube/test-images.ts';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { eventually } from './eventually.ts';
import { cgroupsNamed, firstLine, isLive, mountsOfLabs, processesWith, startStarter } from './starter.ts';

const quiet = (): void => undefined;
const RUNC_CONF = '/etc/criu/runc.conf';
const SETTINGS = ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops'];
const settings = (): string[] => SETTINGS.map((name) => readFileSync(`/proc/sys/${name}`, 'utf8'));

let before: string[];
let image: TestImage;
let cluster: Cluster;

beforeAll(async () => {
  before = settings();
  image = await ensureBusyboxImage(quiet);
  cluster = await startCluster({ nodes: 3, images: [image.archive] });
});
afterAll(() => cluster.stop());

/** A pod of one container, `c`, on the node; returns when it runs. */
async function runPod(name: string, nodeName: string, command: readonly string[]): Promise<void> {
  const container = { name: 'c', image: image.name, command };
  const spec = { nodeName, terminationGracePeriodSeconds: 0, containers: [container] };
  await cluster.kubectl(['create', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }),
  });
  await eventually(
    `pod ${name} to run`,
    async () => ((await podField(name, '.status.phase')) === 'Running' ? true : null),
    cluster,
  );
}

/** What the program in the pod printed; null when it failed. */
const inPod = (pod: string, ...argv: string[]): Promise<string | null> =>
  cluster.kubectl(['exec', pod, '--', ...argv]).catch(() => null);

const podField = (name: string, path: string): Promise<string> =>
  cluster.kubectl(['get', 'pod', name, '-o', `jsonpath={${path}}`]);

const readiness = async (node: string): Promise<string> =>
  await cluster.kubectl([
    ...['get', 'node', node, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'],
  ]);

describe('three nodes', () => {
  test('are Ready, of the version that was built', async () => {
    const columns = 'NAME:.metadata.name,VERSION:.status.nodeInfo.kubeletVersion';
    const rows = await cluster.kubectl(['get', 'nodes', '--no-headers', '-o', `custom-columns=${columns}`]);
    expect(
      rows
        .trim()
        .split('\n')
        .map((row) => row.split(/\s+/)),
    ).toEqual([
      ['node1', `v${KUBERNETES_VERSION}`],
      ['node2', `v${KUBERNETES_VERSION}`],
      ['node3', `v${KUBERNETES_VERSION}`],
    ]);
    for (const { name } of cluster.nodes) expect(await readiness(name)).toBe('True');
  });

  test("leave this machine's kernel settings alone", () => {
    expect(settings()).toEqual(before);
  });

  test('each runs a pod whose log can be read, and pods reach each other over nodes', async () => {
    const serve = 'mkdir /www; hostname > /www/name; echo serves; exec httpd -f -p 80 -h /www';
    await Promise.all(cluster.nodes.map(({ name }) => runPod(`pod-${name}`, name, ['/bin/sh', '-c', serve])));
    for (const { name } of cluster.nodes)
      await eventually(
        `the log of the pod on ${name}`,
        async () => ((await cluster.kubectl(['logs', `pod-${name}`])) === 'serves\n' ? true : null),
        cluster,
      );
    const ip = await podField('pod-node3', '.status.podIP');
    const got = await eventually(
      'an answer over nodes',
      () => inPod('pod-node1', 'wget', '-q', '-O', '-', `http://${ip}/name`),
      cluster,
    );
    expect(got).toBe('pod-node3\n');
  });

  test('a DaemonSet is scheduled to each', async () => {
    const labels = { app: 'everywhere' };
    const spec = {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: image.name }] },
      },
    };
    const daemonSet = { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'everywhere' }, spec };
    await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(daemonSet) });
    await cluster.kubectl(['rollout', 'status', 'daemonset/everywhere', '--timeout=120s']);
    expect(
      await cluster.kubectl(['get', 'daemonset', 'everywhere', '-o', 'jsonpath={.status.numberReady}']),
    ).toBe('3');
  });

  test('Helm is there, and keeps its files in the lab', async () => {
    expect(await cluster.helm(['version', '--short'])).toMatch(/^v4\./);
    expect(JSON.parse(await cluster.helm(['list', '-o', 'json']))).toEqual([]);
  });
});

describe('a checkpoint through the kubelet', () => {
  const checkpoint = (pod: string): Promise<{ status: number; text: string }> =>
    cluster.request({ path: `/api/v1/nodes/node1/proxy/checkpoint/default/${pod}/c`, method: 'POST' });

  test('of a pod with a ghost file fails with the default limit, and works with lines written by hand', async () => {
    const node = cluster.nodeNamed('node1');
    await runPod('ghost', 'node1', ghostHolder([{ path: '/tmp/lib.so', bytes: 2_715_648 }]));
    await eventually('the file to be held', () => inPod('ghost', 'cat', '/tmp/ready'), cluster);
    const refused = await checkpoint('ghost');
    expect(refused.status).toBe(500);
    expect(refused.text).toContain('criu failed: type DUMP errno 0');
    const [, log = ''] = /path= (\S+?criu-dump\.log)/.exec(refused.text) ?? [];
    expect((await node.readFile(log))?.toString()).toContain(
      "Can't dump ghost file /tmp/lib.so of 2715648 size, increase limit",
    );

    await node.writeFile(RUNC_CONF, 'ghost-limit 3145728\n');
    const taken = await checkpoint('ghost');
    expect(taken).toEqual({ status: 200, text: expect.stringContaining('checkpoint-ghost_default-c-') });
    const { items } = JSON.parse(taken.text) as { items: string[] };
    expect((await node.run(['tar', '-tf', items[0] ?? ''])).split('\n')).toContain(
      'checkpoint/inventory.img',
    );
  });
});

describe('what can be killed', () => {
  test('the API server: nodes and pods go on, and it knows all of them again', async () => {
    await cluster.apiServer.kill();
    await expect(cluster.request({ path: '/readyz' })).rejects.toThrow();
    await cluster.restartApiServer();
    expect(await podField('pod-node2', '.status.phase')).toBe('Running');
    for (const { name } of cluster.nodes)
      await eventually(
        `${name} to be Ready`,
        async () => ((await readiness(name)) === 'True' ? true : null),
        cluster,
      );
  });

  test('a node: it is NotReady, and Ready again after its start, with its files and without its pods', async () => {
    const node = cluster.nodeNamed('node2');
    await node.writeFile(RUNC_CONF, '# stays\n');
    await node.run(['chmod', '0640', RUNC_CONF]);
    await node.writeFile('/var/lib/ghostlimit/state/a', 'also stays');
    await node.writeFile('/etc/gone', '');
    await node.kill();
    await eventually(
      'NotReady',
      async () => ((await readiness('node2')) === 'Unknown' ? true : null),
      cluster,
    );
    await node.start();
    expect(await readiness('node2')).toBe('True');
    expect((await node.readFile(RUNC_CONF))?.toString()).toBe('# stays\n');
    expect(await node.run(['stat', '-c', '%a', RUNC_CONF])).toBe('640\n');
    expect((await node.readFile('/var/lib/ghostlimit/state/a'))?.toString()).toBe('also stays');
    expect(await node.readFile('/etc/gone')).toBeNull();
    await cluster.kubectl(['delete', 'pod', 'pod-node2', '--force', '--wait=false']);
    await runPod('after', 'node2', ['/bin/sleep', '1000000']);
  });

  test('the controller manager and a kubelet: both do their work when started again', async () => {
    await cluster.controllerManager.kill();
    expect(cluster.controllerManager.isRunning()).toBe(false);
    cluster.controllerManager.start();
    const { kubelet } = cluster.nodeNamed('node3');
    await kubelet().kill('SIGTERM');
    kubelet().start();
    await cluster.kubectl(['create', 'namespace', 'new']);
    await eventually(
      'the account of a new namespace',
      async () =>
        (await cluster.request({ path: '/api/v1/namespaces/new/serviceaccounts/default' })).status === 200
          ? true
          : null,
      cluster,
    );
    await runPod('on-node3', 'node3', ['/bin/sleep', '1000000']);
  });
});

describe('a lab beside it', () => {
  test('whose starter is killed leaves nothing: processes, mounts, cgroups', async () => {
    const mark = `cluster-${process.pid}`;
    const text = `
      const cluster = await startCluster({ nodes: 2, images: [${JSON.stringify(image.archive)}] });
      const container = { name: 'c', image: ${JSON.stringify(image.name)} };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [container] } };
      await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(pod) });
      await cluster.kubectl(['wait', '--for=condition=Ready', 'pod/p', '--timeout=120s']);
      const labs = [cluster.node, ...cluster.nodes.map((node) => node.lab())];
      console.log(JSON.stringify(labs.map(({ initPid, cgroupName }) => ({ initPid, cgroupName }))));`;
    const starter = startStarter('cluster.ts', 'startCluster', text, mark);
    const labs = JSON.parse(await firstLine(starter)) as { initPid: number; cgroupName: string }[];
    expect(labs).toHaveLength(3);
    expect(labs.filter(({ initPid }) => isLive(initPid))).toHaveLength(3);
    starter.kill('SIGKILL');
    await eventually('the end of all processes', () =>
      Promise.resolve(
        labs.every(({ initPid }) => !isLive(initPid)) && processesWith(mark).length === 0 ? true : null,
      ),
    );
    await eventually('the cgroups to go', () =>
      Promise.resolve(labs.every(({ cgroupName }) => cgroupsNamed(cgroupName).length === 0) ? true : null),
    );
    expect(mountsOfLabs()).toEqual([]);
  });

  test('with no nodes is refused', async () => {
    await expect(startCluster({ nodes: 0 })).rejects.toThrow('A lab has 1 to 9 nodes, not 0.');
  });
});
