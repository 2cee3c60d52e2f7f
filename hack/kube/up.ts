// `npm run kube -- NODES`: a lab cluster to look at and try things on, until it is interrupted.
import { ensureBusyboxImage, ensureNettyImage } from './test-images.ts';
import { ensureKubePrograms } from './kube-binaries.ts';
import { startCluster } from './cluster.ts';

const startedMs = performance.now();
const progress = (text: string): void => {
  process.stderr.write(`[${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s] ${text}\n`);
};

const images = [await ensureBusyboxImage(progress), await ensureNettyImage(progress)];
const { kubectl } = await ensureKubePrograms(['kubectl'], progress);
const more = process.argv.slice(3);
const cluster = await startCluster({
  nodes: Number(process.argv[2] ?? '3'),
  images: [...images.map(({ archive }) => archive), ...more],
  progress,
});
const inside = '/etc/kubernetes/outside.kubeconfig';
await cluster.node.writeFile(inside, cluster.kubeconfig());
const entering = (pid: number): string => `nsenter -t ${pid} -a`;
process.stdout.write(
  [
    `export KUBECONFIG=/proc/${cluster.node.initPid}/root${inside}`,
    `${kubectl} get nodes`,
    `# images: ${images.map(({ name }) => name).join(', ')}`,
    ...cluster.nodes.map((node) => `${entering(node.lab().initPid)}   # a shell on ${node.name}`),
    '# Interrupt to end it.\n',
  ].join('\n'),
);
const interrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      resolve();
    });
});
await interrupted;
await cluster.stop();
