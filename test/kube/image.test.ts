// The images that are built here, without a registry: the same bytes each time, and real containers run from them.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImage, IMAGE, IMAGE_USER } from '../../hack/image.ts';
import { startCluster } from '../../hack/kube/cluster.ts';
import type { Cluster } from '../../hack/kube/cluster.ts';
import { ensureNettyImage } from '../../hack/kube/test-images.ts';
import type { TestImage } from '../../hack/kube/test-images.ts';
import { NETTY_LIBRARY_BYTES } from '../../hack/lab/netty.ts';
import { runProgram } from '../../hack/lab/program.ts';
import { eventually } from './eventually.ts';

const quiet = (): void => undefined;

let folder: string;
let archive: string;
let netty: TestImage;
let cluster: Cluster;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ghostlimit-image-test-'));
  archive = join(folder, 'image.tar');
  await buildImage(archive, quiet);
  netty = await ensureNettyImage(quiet);
  cluster = await startCluster({ nodes: 1, images: [archive, netty.archive] });
});
afterAll(async () => {
  await cluster.stop();
  await rm(folder, { recursive: true });
});

const inArchive = async (file: string): Promise<unknown> =>
  JSON.parse((await runProgram(['tar', '-xOf', archive, file])).stdout.toString());

async function createPod(name: string, spec: Record<string, unknown>): Promise<void> {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(pod) });
}

describe('the image of the product', () => {
  test('is built the same again', async () => {
    const again = join(folder, 'again.tar');
    await buildImage(again, quiet);
    expect((await readFile(again)).equals(await readFile(archive))).toBe(true);
  });

  test('names itself for containerd and for Docker, two layers each', async () => {
    const names = ['docker.io/ghostlimit/ghostlimit:dev', 'docker.io/library/ghostlimit:latest'];
    const layer = expect.stringMatching(/^blobs\/sha256\/[0-9a-f]{64}$/);
    const named = (name: string): unknown =>
      expect.objectContaining({ annotations: { 'io.containerd.image.name': name } });
    expect(await inArchive('index.json')).toEqual({ schemaVersion: 2, manifests: names.map(named) });
    expect(await inArchive('manifest.json')).toEqual([
      { Config: layer, RepoTags: names, Layers: [layer, layer] },
    ]);
  });

  test('runs without rights and without a place to write', async () => {
    const securityContext = {
      runAsUser: IMAGE_USER,
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    };
    const container = { name: 'c', image: IMAGE, args: ['--version'], securityContext };
    await createPod('version', { restartPolicy: 'Never', containers: [container] });
    await eventually(
      'its end',
      async () => {
        const phase = await cluster.kubectl(['get', 'pod', 'version', '-o', 'jsonpath={.status.phase}']);
        return phase === 'Succeeded' ? true : null;
      },
      cluster,
    );
    const packageJson = await readFile(join(import.meta.dirname, '../../package.json'), 'utf8');
    const { version } = JSON.parse(packageJson) as { version: string };
    expect(await cluster.kubectl(['logs', 'version'])).toBe(`${version}\n`);
  });

  test('brings the tools that the agent calls, and a user by name', async () => {
    const script = `for (const tool of ['cp', 'nsenter', 'env']) console.log(require('node:child_process').execFileSync(tool, ['--version']).toString().split(' ')[0]);
      console.log(require('node:os').userInfo().username)`;
    const container = {
      name: 'c',
      image: IMAGE,
      command: ['node', '-e', script],
      securityContext: { runAsUser: IMAGE_USER },
    };
    await createPod('tools', { restartPolicy: 'Never', containers: [container] });
    const log = await eventually(
      'its words',
      async () => {
        const text = await cluster.kubectl(['logs', 'tools']).catch(() => '');
        return text.split('\n').length > 4 ? text : null;
      },
      cluster,
    );
    expect(log).toBe('cp\nnsenter\nenv\nghostlimit\n');
  });
});

describe('the image of Netty', () => {
  test('loads its library, deletes it and ticks; CRIU refuses it at the default limit and dumps it at the right one', async () => {
    const [node] = cluster.nodes;
    const container = { name: 'c', image: netty.name };
    await createPod('netty', { terminationGracePeriodSeconds: 0, containers: [container] });
    await eventually(
      'its first tick',
      async () => {
        const log = await cluster.kubectl(['logs', 'netty']).catch(() => '');
        return log.includes('tick 1\n') ? true : null;
      },
      cluster,
    );
    const checkpoint = (): Promise<{ status: number; text: string }> =>
      cluster.request({ path: '/api/v1/nodes/node1/proxy/checkpoint/default/netty/c', method: 'POST' });
    const refused = await checkpoint();
    expect(refused.status).toBe(500);
    const [, log = ''] = /path= (\S+?criu-dump\.log)/.exec(refused.text) ?? [];
    expect((await node?.readFile(log))?.toString()).toMatch(
      new RegExp(
        `Can't dump ghost file /tmp/libnetty_tcnative_linux_\\S+\\.so of ${NETTY_LIBRARY_BYTES} size, increase limit`,
      ),
    );
    await node?.writeFile('/etc/criu/runc.conf', `ghost-limit ${NETTY_LIBRARY_BYTES}\n`);
    expect(await checkpoint()).toMatchObject({ status: 200 });
  });
});
