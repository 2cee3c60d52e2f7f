// The operator keeps its DaemonSet, and takes everything back when it is asked to.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { aPolicy, isReady, startOperatorLab, SYSTEM, type OperatorLab } from './operator-lab.ts';
import { ROOT } from './installed-plane.ts';

const SLEEP = ['/bin/sleep', '1000000'];
const ORIGINAL = '# kept by the platform team\nskip-in-flight\n';
const DAEMON_SET = ['-n', SYSTEM, 'daemonset/ghostlimit-agent'];

let lab: OperatorLab;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 3, replicas: 2 });
  for (const { name } of lab.cluster.nodes) {
    if (name !== 'node2') await lab.writeConf(name, ORIGINAL);
    await lab.runPod({ name: `on-${name}`, nodeName: name, labels: { app: 'kept' }, command: SLEEP });
  }
  await lab.apply(aPolicy('kept', { fixed: '3Mi' }));
  await lab.untilPolicy('kept', 'on three nodes', (seen) => seen.summary === '3/3' && isReady(seen));
});
afterAll(() => lab.stop());

interface DaemonSet {
  readonly metadata: { readonly uid: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly image: string;
          readonly env: readonly { readonly name: string }[];
        }[];
      };
    };
  };
}

async function daemonSet(): Promise<DaemonSet | null> {
  const path = `/apis/apps/v1/namespaces/${SYSTEM}/daemonsets/ghostlimit-agent`;
  const { status, text } = await lab.cluster.request({ path });
  return status === 200 ? (JSON.parse(text) as DaemonSet) : null;
}

/** What the controller said about the removal, in no order. */
async function takenBack(): Promise<readonly string[]> {
  const notes = await lab.kubectl(
    ...['-n', SYSTEM, 'get', 'events', '--field-selector', 'reason=TakenBack'],
    ...['-o', 'jsonpath={range .items[*]}{.message}{"\\n"}{end}'],
  );
  return notes.split('\n').filter((note) => note !== '');
}

describe('the DaemonSet', () => {
  test('deleted by hand is made again', async () => {
    const before = await daemonSet();
    await lab.kubectl('delete', '--wait=false', ...DAEMON_SET);
    const after = await lab.until('another one', async () => {
      const found = await daemonSet();
      return found !== null && found.metadata.uid !== before?.metadata.uid ? found : null;
    });
    expect(after.spec).toEqual(before?.spec);
    await lab.kubectl('rollout', 'status', ...DAEMON_SET, '--timeout=300s');
  });

  test('edited by hand is put back, also what was only added', async () => {
    const before = await daemonSet();
    await lab.kubectl('set', 'image', ...DAEMON_SET, 'agent=docker.io/library/other:1');
    await lab.kubectl('set', 'env', ...DAEMON_SET, 'ADDED=1');
    await lab.until('what it was', async () => {
      const container = (await daemonSet())?.spec.template.spec.containers[0];
      const isBack =
        container?.image === before?.spec.template.spec.containers[0]?.image &&
        container?.env.every(({ name }) => name !== 'ADDED') === true;
      return isBack ? true : null;
    });
    expect((await daemonSet())?.spec).toEqual(before?.spec);
    await lab.kubectl('rollout', 'status', ...DAEMON_SET, '--timeout=300s');
  });

  test('follows the settings', async () => {
    const patch = { data: { 'settings.yaml': 'agent: {nodeSelector: {"kubernetes.io/hostname": node1}}\n' } };
    const configMap = ['-n', SYSTEM, 'patch', 'configmap', 'ghostlimit-settings', '--type=merge', '-p'];
    await lab.kubectl(...configMap, JSON.stringify(patch));
    await lab.until('one agent', async () =>
      (await lab.kubectl('get', ...DAEMON_SET, '-o', 'jsonpath={.status.desiredNumberScheduled}')) === '1'
        ? true
        : null,
    );
    await lab.kubectl(...configMap, JSON.stringify({ data: { 'settings.yaml': '{}\n' } }));
    await lab.until('three agents', async () =>
      (await lab.kubectl('get', ...DAEMON_SET, '-o', 'jsonpath={.status.numberReady}')) === '3' ? true : null,
    );
  });
});

describe('removal with one node down', () => {
  test('every live node is as it was, the dead one is named, policies can be deleted', async () => {
    const dead = lab.cluster.nodeNamed('node3');
    await dead.kill();
    await lab.until('node3 to be NotReady', async () =>
      (await lab.kubectl('get', 'node', 'node3', '--no-headers')).includes('NotReady') ? true : null,
    );
    await lab.kubectl('apply', '--server-side', '--force-conflicts', '-f', join(ROOT, 'deploy/remove.yaml'));
    expect(
      await lab.untilConf('node1', 'the original', (text) => text?.includes('ghostlimit') !== true),
    ).toBe(ORIGINAL);
    await lab.untilConf('node2', 'to be gone', (text) => text === null);
    expect(await lab.until('the word about what is left', async () => (await takenBack())[0] ?? null)).toBe(
      'taken back on every node that answers; left: node3 (NotReady)',
    );
    await lab.kubectl('delete', 'checkpointpolicy', '--all', '--timeout=60s');
  });

  test('and the dead one is undone when it is back', async () => {
    const node = lab.cluster.nodeNamed('node3');
    await node.start();
    expect(
      await lab.untilConf('node3', 'the original', (text) => text?.includes('ghostlimit') !== true),
    ).toBe(ORIGINAL);
    const rest = 'every node has its CRIU files back as they were; the operator can be deleted now';
    await lab.until(rest, async () => ((await takenBack()).includes(rest) ? true : null));
  });

  test('the settings of the installation bring the operator back', async () => {
    await lab.kubectl('apply', '--server-side', '--force-conflicts', '-f', join(ROOT, 'deploy/install.yaml'));
    await lab.runPod({ name: 'again', nodeName: 'node1', command: SLEEP });
    await lab.apply(aPolicy('again', { fixed: '3Mi' }));
    await lab.untilConf('node1', 'our lines', (text) => text?.includes('\nghost-limit 3145728\n') === true);
    await lab.untilPolicy('again', 'in force', isReady);
  });
});
