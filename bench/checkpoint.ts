// What a checkpoint through ghostlimit costs beyond the engine's own, on each engine: in a warm process against the engine's call; and on Docker command against command.
import { startContainerd } from '../hack/lab/containerd.ts';
import { ghostHolder } from '../hack/lab/ghost-holders.ts';
import { PROJECT_INSIDE, startLabNode, type LabNode } from '../hack/lab/lab-node.ts';
import { importPodmanBusyboxImage, startPodman } from '../hack/lab/podman.ts';
import { startRuncContainer } from '../hack/lab/runc.ts';
import type { RuntimeName } from '../src/ports/container-runtime.ts';
import {
  eventually,
  limitPolicy,
  MIB,
  POLICIES,
  startStandaloneHost,
  type StandaloneHost,
} from '../test/lab/standalone-host.ts';
import { comparison, summary, type Pair } from './statistics.ts';

const ROUNDS = 20;
const GHOST_BYTES = 8 * MIB;
const PROGRAM = `${PROJECT_INSIDE}/dist/ghostlimit.mjs`;
const HOLDER = ghostHolder([{ path: '/tmp/ghost.so', bytes: GHOST_BYTES }]);
const POLICY = limitPolicy('web', '{fixed: 16Mi}');
const quiet = (): void => undefined;

export async function benchCheckpoint(print: (line: string) => void): Promise<void> {
  const host = await startStandaloneHost('bench');
  try {
    await host.startGhostContainer('web', GHOST_BYTES, '--label', 'app=web');
    await applyPolicy(host.node);
    report(
      'checkpoint on Docker Engine, warm, against its own call',
      await warmPairs(host.node, 'docker'),
      print,
    );
    report(
      'checkpoint, "ghostlimit checkpoint" against "docker checkpoint create"',
      await commandPairs(host),
      print,
    );
  } finally {
    await host.stop();
  }
  await onNode('runc', startRunc, print);
  await onNode('podman', startPodmanContainer, print);
  await onNode('containerd', startCriContainer, print);
}

async function onNode(
  engine: RuntimeName,
  start: (node: LabNode) => Promise<void>,
  print: (line: string) => void,
): Promise<void> {
  const node = await startLabNode({ name: `bench-${engine}`, progress: quiet });
  try {
    await start(node);
    await applyPolicy(node);
    report(`checkpoint on ${engine}, warm, against its own call`, await warmPairs(node, engine), print);
  } finally {
    await node.stop();
  }
}

async function startRunc(node: LabNode): Promise<void> {
  const { rootfs } = await startRuncContainer(node, {
    id: 'web',
    args: HOLDER,
    annotations: { app: 'web' },
    hostNetwork: true,
  });
  await eventually('the container', () => node.readFile(`${rootfs}/tmp/ready`));
}

async function startPodmanContainer(node: LabNode): Promise<void> {
  const { podman } = await startPodman(node);
  await importPodmanBusyboxImage(node, 'busybox:lab');
  await podman(
    'run',
    '--detach',
    '--name',
    'web',
    '--label',
    'app=web',
    '--network',
    'host',
    'localhost/busybox:lab',
    ...HOLDER,
  );
  await eventually('the container', async () =>
    (await podman('exec', 'web', 'ls', '/tmp')).includes('ready') ? true : null,
  );
}

async function startCriContainer(node: LabNode): Promise<void> {
  const image = 'docker.io/library/busybox:lab';
  const containerd = await startContainerd(node, { version: 'root', passedAnnotations: [] });
  await containerd.importBusyboxImage(image);
  const pod = { name: 'web', namespace: 'default', uid: 'uid-web', labels: { app: 'web' } };
  const podId = await containerd.cri.runPod(pod);
  const id = await containerd.cri.startContainer(podId, pod, { name: 'web', image, command: HOLDER });
  const { info } = await containerd.cri.containerStatus(id);
  await eventually('the container', () => node.readFile(`/proc/${String(info['pid'])}/root/tmp/ready`));
  containerd.cri.close();
}

async function applyPolicy(node: LabNode): Promise<void> {
  await node.writeFile(`${POLICIES}/web.yaml`, POLICY);
  await node.run(['node', PROGRAM, 'apply', '-f', POLICIES]);
}

async function warmPairs(node: LabNode, engine: RuntimeName): Promise<Pair[]> {
  const driver = `${PROJECT_INSIDE}/bench/inside/checkpoint-overhead.ts`;
  return JSON.parse(await node.run(['node', driver, 'web', engine, ROUNDS.toString(), PROGRAM])) as Pair[];
}

async function commandPairs({ node }: StandaloneHost): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const name = `command-${round.toString()}`;
    const otherMs = await timed(() =>
      node.run(['docker', 'checkpoint', 'create', '--leave-running', 'web', name]),
    );
    pairs.push({ otherMs, oursMs: await timed(() => node.run(['node', PROGRAM, 'checkpoint', 'web'])) });
  }
  return pairs;
}

export async function timed(action: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await action();
  return performance.now() - startedMs;
}

function report(name: string, pairs: readonly Pair[], print: (line: string) => void): void {
  const theirs = pairs.map(({ otherMs }) => otherMs);
  const ours = pairs.map(({ oursMs }) => oursMs);
  print(name);
  print(`  theirs: ${summary(theirs, 'ms')}`);
  print(`  ours:   ${summary(ours, 'ms')}`);
  print(`  ${comparison(pairs)}`);
}
