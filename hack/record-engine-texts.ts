// Records again what containerd (through the CRI) and Podman (through REST and its crun) say when a checkpoint fails:
// test/fixtures/dump-logs/runtime-text/{cri-*,podman-rest-*,crun-1.21-*}.txt. Needs root; `node hack/record-engine-texts.ts [RECORDING]`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUILT_CONTAINERD_INSIDE, containerdBind } from './lab/containerd-build.ts';
import { CONTAINERD_SOCKET, startContainerd, untilItAnswers } from './lab/containerd.ts';
import type { ContainerdOptions, LabContainerd } from './lab/containerd.ts';
import { connectCri, CriError } from './lab/cri-client.ts';
import { buildGoPrograms, requireGo } from './lab/go-build.ts';
import { startLabNode } from './lab/lab-node.ts';
import type { LabNode } from './lab/lab-node.ts';
import { importPodmanBusyboxImage, PODMAN_SOCKET, startPodman } from './lab/podman.ts';

const OUT = join(import.meta.dirname, '../test/fixtures/dump-logs/runtime-text');
const IMAGE = 'docker.io/library/busybox:lab';
const RUNC_CONF = '/etc/criu/runc.conf';
const DEFAULT_CONF = '/etc/criu/default.conf';
/** CRIU ends a sleep that it finds (measured): hence the loop. */
const HOLD = [
  '/bin/sh',
  '-c',
  'exec 3>/tmp/ghost.so; head -c 2715648 /dev/zero >&3; rm /tmp/ghost.so; while :; do sleep 1000; done',
];
/** Long enough for the shell to hold its file. */
const HOLD_MS = 700;

const progress = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

function keep(name: string, text: string): void {
  writeFileSync(join(OUT, `${name}.txt`), `${text.trimEnd()}\n`);
  progress(`${name}: ${text.trimEnd().slice(-160)}`);
}

const untilHeld = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, HOLD_MS);
  });

async function recordContainerd(version: ContainerdOptions['version'], label: string): Promise<void> {
  const binds = version === 'built' ? [await containerdBind(progress)] : [];
  const node = await startLabNode({ name: 'record', binds, progress });
  try {
    await recordCri(node, await startContainerd(node, { version }), label);
    await node.run(['mv', '/usr/sbin/criu', '/run/criu']);
    await node.exec(['pkill', '-TERM', '-x', 'containerd']);
    const { cri } = await startContainerd(node, { version });
    keep(`cri-${label}-criu-missing`, await saidBy(cri.checkpoint('nobody', '/run/x.tar')));
    cri.close();
  } finally {
    await node.stop();
  }
}

/** The last of 1.7, which has the call but not what it does; built in 4 min and not kept. */
const CONTAINERD_1_7 = '1.7.35';

async function recordContainerd17(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ghostlimit-containerd-'));
  const what = `containerd ${CONTAINERD_1_7}`;
  const goModule = 'github.com/containerd/containerd';
  try {
    await requireGo(what);
    progress(`building ${what}`);
    await buildGoPrograms(folder, {
      what,
      goMod: `module lab\ngo 1.26\nrequire ${goModule} v${CONTAINERD_1_7}\n`,
      packages: [`${goModule}/cmd/containerd`],
      linkerFlags: `-X ${goModule}/version.Version=v${CONTAINERD_1_7}`,
    });
    const binds = [{ from: folder, to: BUILT_CONTAINERD_INSIDE, readOnly: true }];
    const node = await startLabNode({ name: 'record', binds, progress });
    try {
      const daemon = node.spawn([`${BUILT_CONTAINERD_INSIDE}/containerd`]);
      await untilItAnswers(node, daemon, `${node.rootPath}${CONTAINERD_SOCKET}`);
      const cri = connectCri(`${node.rootPath}${CONTAINERD_SOCKET}`);
      const error: unknown = await cri.checkpoint('nobody', '/run/x.tar').catch((reason: unknown) => reason);
      if (!(error instanceof CriError)) throw new Error('it did not refuse');
      keep('cri-1.7-unimplemented', `${error.code.toString()} ${error.message}`);
      keep('cri-1.7-version', (await cri.version()).version);
      cri.close();
    } finally {
      await node.stop();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function recordCri(
  node: LabNode,
  { cri, importBusyboxImage }: LabContainerd,
  label: string,
): Promise<void> {
  await importBusyboxImage(IMAGE);
  const pod = { name: 'p', namespace: 'shop', uid: 'u' };
  const podId = await cri.runPod(pod);
  const id = await cri.startContainer(podId, pod, { name: 'app', image: IMAGE, command: HOLD });
  await untilHeld();
  const attempt = (): Promise<string> => saidBy(cri.checkpoint(id, '/run/x.tar'));
  keep(`cri-${label}-ghost`, await attempt());
  await node.writeFile(RUNC_CONF, 'ghost-limit = 3145728\n');
  keep(`cri-${label}-config-syntax`, await attempt());
  await node.writeFile(RUNC_CONF, 'nosuch\n');
  keep(`cri-${label}-config-option`, await attempt());
  await node.run(['mv', RUNC_CONF, DEFAULT_CONF]);
  keep(`cri-${label}-default-conf`, await attempt());
  await node.run(['rm', DEFAULT_CONF]);
  keep(`cri-${label}-no-container`, await saidBy(cri.checkpoint('nobody', '/run/x.tar')));
  const { info } = await cri.containerStatus(id);
  await node.run(['kill', '-KILL', String(info['pid'])]);
  await untilHeld();
  keep(`cri-${label}-not-running`, await attempt());
  cri.close();
}

async function saidBy(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => {
      throw new Error('it succeeded');
    },
    (error: unknown) => (error as Error).message,
  );
}

async function recordPodman(release: 'sid' | 'trixie'): Promise<void> {
  const node = await startLabNode({ name: 'record', release, progress });
  try {
    const { podman, runContainer, checkpoint } = await startPodman(node);
    await importPodmanBusyboxImage(node, 'busybox');
    const start = { image: 'localhost/busybox', args: HOLD } as const;
    await runContainer({ ...start, name: 'c', runtime: 'crun' });
    await runContainer({ ...start, name: 'r', runtime: 'runc' });
    await untilHeld();
    if (release === 'trixie') {
      keep('podman-crun-1.21-ghost', (await checkpoint('c')).stderr);
      return;
    }
    const rest = async (name: string): Promise<string> => {
      const url = `http://d/v4.0.0/libpod/containers/${name}/checkpoint?leaveRunning=true&keep=true`;
      const answer = await node.run(['curl', '--silent', '-X', 'POST', '--unix-socket', PODMAN_SOCKET, url]);
      return (JSON.parse(answer) as { message: string }).message;
    };
    keep('podman-rest-runc', await rest('r'));
    keep('podman-rest-no-container', await rest('nobody'));
    await podman('kill', 'c');
    keep('podman-rest-not-running', await rest('c'));
  } finally {
    await node.stop();
  }
}

const RECORDINGS: Readonly<Record<string, () => Promise<void>>> = {
  'containerd-1.7': recordContainerd17,
  'containerd-2.1': () => recordContainerd('root', '2.1'),
  'containerd-2.4': () => recordContainerd('built', '2.4'),
  'podman-sid': () => recordPodman('sid'),
  'podman-trixie': () => recordPodman('trixie'),
};

const [asked] = process.argv.slice(2);
if (asked !== undefined && !(asked in RECORDINGS))
  throw new Error(`no recording ${asked}; there are ${Object.keys(RECORDINGS).join(', ')}`);
for (const [name, record] of Object.entries(RECORDINGS))
  if (asked === undefined || asked === name) await record();
