// A node of a lab cluster: a lab node with containerd and a real kubelet, joined to the control plane's bridge. It can
// be killed and started again.
import { createReadStream, closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startContainerd } from '../lab/containerd.ts';
import { BUILT_CONTAINERD_INSIDE, containerdBind } from '../lab/containerd-build.ts';
import { startLabNode } from '../lab/lab-node.ts';
import type { LabNode } from '../lab/lab-node.ts';
import type { Progress } from '../lab/node-root.ts';
import { ended, forEachLine, runProgram } from '../lab/program.ts';
import { createComponent } from './component.ts';
import type { Component } from './component.ts';
import { API_INSIDE } from './control-plane.ts';
import type { ControlPlane } from './control-plane.ts';
import { kubeconfig } from './lab-users.ts';
import { attachToBridge, nodeIp, nodeNetworkScript } from './node-network.ts';

const CA_INSIDE = '/etc/kubernetes/ca.crt';
const KUBECONFIG_INSIDE = '/etc/kubernetes/kubelet.kubeconfig';
const CONFIG_INSIDE = '/etc/kubernetes/kubelet.json';
const CNI_INSIDE = '/etc/cni/net.d/10-bridge.conflist';
const READY_TIMEOUT_MS = 180_000;
const READY_POLL_MS = 100;
/** What a node has on its disk after it was killed and started again; the rest is new, images and pods among it. */
const KEPT = ['etc/criu', 'var/lib/ghostlimit'];

export interface KubeNode extends Pick<LabNode, 'exec' | 'run' | 'spawn' | 'readFile' | 'writeFile'> {
  /** `node1`, also in the API. */
  name: string;
  /** InternalIP. */
  ip: string;
  kubelet: () => Component;
  /** The lab node of its present life: its root as this machine sees it, its cgroups. */
  lab: () => LabNode;
  /** Makes the images of an OCI archive of this machine known to its kubelet. 0.6 to 1.2 s for 110 MB. */
  importImage: (archive: string) => Promise<void>;
  /** Pulls the plug: SIGKILL to everything on it. /etc/criu and /var/lib/ghostlimit stay for {@link KubeNode.start}. */
  kill: () => Promise<void>;
  /** Starts it again after {@link KubeNode.kill} and returns when the API says Ready. */
  start: () => Promise<void>;
  /** The last lines of the logs of containerd and kubelet. */
  describeLogs: () => Promise<string>;
  /** Ends it for good. */
  stop: () => Promise<void>;
}

export interface KubeNodeOptions {
  /** From 1 to 9. */
  number: number;
  /** The file of the kubelet on this machine. */
  kubeletFile: string;
  /** OCI archives of this machine that are imported before the kubelet starts. */
  images: readonly string[];
  progress: Progress;
}

/** Settings that a kubelet writes into /proc/sys are the whole machine's: in a node they are files of its own. */
const PREPARE = String.raw`
mount --make-rshared /
mkdir -p /run/sysctl
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  own=/run/sysctl/$(basename $name)
  cat /proc/sys/$name > $own
  mount --bind $own /proc/sys/$name
done
`;

/** Eviction is off, as the machine's disk is no concern of the lab; on cgroup v1 a kubelet must be told to start. */
const KUBELET_CONFIG = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: CA_INSIDE },
  },
  authorization: { mode: 'Webhook' },
  failCgroupV1: false,
  failSwapOn: false,
  clusterDomain: 'cluster.local',
  resolvConf: '',
  evictionHard: {
    'memory.available': '1Mi',
    'nodefs.available': '0%',
    'nodefs.inodesFree': '0%',
    'imagefs.available': '0%',
  },
  imageGCHighThresholdPercent: 100,
  nodeStatusUpdateFrequency: '2s',
};

const cniConfig = (number: number): unknown => ({
  cniVersion: '1.0.0',
  name: 'lab',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipMasq: false,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: `10.244.${number}.0/24` }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
  ],
});

/** One life of a node, from power on to power off. */
interface Life {
  lab: LabNode;
  kubelet: Component;
  /** Keeps its root file system readable after its end. */
  rootFd: number;
}

/** Starts the node while the API server may still be starting; `join` starts its kubelet. Stops itself when it fails. */
export async function prepareKubeNode(
  options: KubeNodeOptions,
): Promise<{ join: (plane: ControlPlane) => Promise<KubeNode>; lab: LabNode }> {
  const lab = await bootLab(options);
  return {
    lab,
    join: async (plane) => {
      const life = await joinPlane(lab, plane, options);
      return kubeNode(life, plane, options);
    },
  };
}

const nameOf = (number: number): string => `node${number}`;

async function bootLab({ number, kubeletFile, images, progress }: KubeNodeOptions): Promise<LabNode> {
  const lab = await startLabNode({
    name: nameOf(number),
    binds: [
      await containerdBind(progress),
      { from: kubeletFile, to: '/usr/local/bin/kubelet', readOnly: true },
    ],
    progress,
  });
  try {
    await lab.run(['bash', '-ec', PREPARE]);
    await lab.writeFile(CNI_INSIDE, JSON.stringify(cniConfig(number)));
    await startContainerd(lab, { version: 'built', passedAnnotations: ['org.criu.config'] });
    for (const archive of images) await importImage(lab, archive);
    return lab;
  } catch (error) {
    await lab.stop();
    throw error;
  }
}

async function importImage(lab: LabNode, archive: string): Promise<void> {
  const child = lab.spawn([
    ...[`${BUILT_CONTAINERD_INSIDE}/ctr`, '--namespace', 'k8s.io', 'images', 'import', '-'],
  ]);
  const said: string[] = [];
  if (child.stderr) forEachLine(child.stderr, (line) => said.push(line));
  child.stdout?.resume();
  // Its end, not a broken pipe, tells why it did not read on.
  child.stdin?.on('error', () => undefined);
  if (child.stdin) {
    const bytes = createReadStream(archive);
    bytes.on('error', (error) => {
      said.push(error.message);
      child.kill('SIGKILL');
    });
    bytes.pipe(child.stdin);
  }
  await ended(child);
  if (child.exitCode !== 0) throw new Error(`ctr could not import ${archive}:\n${said.slice(-5).join('\n')}`);
}

async function joinPlane(lab: LabNode, plane: ControlPlane, { number }: KubeNodeOptions): Promise<Life> {
  await attachToBridge({ bridgePid: plane.node.initPid, nodePid: lab.initPid, number });
  await lab.run(['bash', '-ec', nodeNetworkScript(number)]);
  await lab.writeFile(CA_INSIDE, plane.ca);
  await lab.writeFile(KUBECONFIG_INSIDE, kubeconfig(API_INSIDE, plane.ca, kubeletUser(number)));
  await lab.writeFile(CONFIG_INSIDE, JSON.stringify(KUBELET_CONFIG));
  const kubelet = createComponent(lab, 'kubelet', [
    ...['kubelet', `--config=${CONFIG_INSIDE}`, `--kubeconfig=${KUBECONFIG_INSIDE}`],
    ...[`--hostname-override=${nameOf(number)}`, `--node-ip=${nodeIp(number)}`],
  ]);
  kubelet.start();
  return { lab, kubelet, rootFd: openSync(lab.rootPath, 'r') };
}

/** The user that the kubelet of a node is; it needs a token before the API server starts. */
export const kubeletUser = (number: number): string => `system:node:${nameOf(number)}`;

function kubeNode(first: Life, plane: ControlPlane, options: KubeNodeOptions): KubeNode {
  const name = nameOf(options.number);
  let life = first;
  let isOn = true;
  const powerOff = async (): Promise<void> => {
    if (!isOn) return;
    isOn = false;
    process.kill(life.lab.initPid, 'SIGKILL');
    await life.lab.stop();
  };
  return {
    name,
    ip: nodeIp(options.number),
    lab: () => life.lab,
    kubelet: () => life.kubelet,
    exec: (...words) => life.lab.exec(...words),
    run: (...words) => life.lab.run(...words),
    spawn: (...words) => life.lab.spawn(...words),
    readFile: (path) => life.lab.readFile(path),
    writeFile: (path, bytes) => life.lab.writeFile(path, bytes),
    importImage: (archive) => importImage(life.lab, archive),
    describeLogs: () => describeNode(name, life),
    kill: powerOff,
    start: async () => {
      if (isOn) return;
      const kept = await packKept(life.rootFd);
      closeSync(life.rootFd);
      const lab = await bootLab(options);
      await lab.run(['tar', '-C', '/', '-xpf', '-'], { input: kept });
      const sinceMs = Date.now();
      life = await joinPlane(lab, plane, options);
      isOn = true;
      await untilNodesReady(plane, [name], { sinceMs, describe: () => describeNode(name, life) });
    },
    stop: async () => {
      if (isOn) closeSync(life.rootFd);
      await powerOff();
    },
  };
}

/** tar's bytes of the folders that outlive a node's death, read through what is left of its file system. */
async function packKept(rootFd: number): Promise<Buffer> {
  const script = 'cd "$1" && shift && for path; do [ ! -e "$path" ] || echo "$path"; done | tar -cf - -T -';
  const root = `/proc/${process.pid}/fd/${rootFd}`;
  const { code, stdout, stderr } = await runProgram(['sh', '-c', script, 'kept', root, ...KEPT]);
  if (code !== 0) throw new Error(`tar could not read the disk of a dead node:\n${stderr}`);
  return stdout;
}

async function describeNode(name: string, { lab, kubelet }: Life): Promise<string> {
  const { stdout } = await lab.exec(['tail', '-n', '8', '/var/log/containerd.log']);
  const kubeletLog = await kubelet.readLog(12);
  return `--- ${name}, containerd:\n${stdout.trimEnd()}\n--- ${name}, kubelet (${kubelet.isRunning() ? 'runs' : 'does not run'}):\n${kubeletLog.trimEnd()}`;
}

interface NodeList {
  items: {
    metadata: { name: string };
    status: { conditions?: { type: string; status: string; lastHeartbeatTime: string }[] };
  }[];
}

/**
 * Resolves when the API says Ready of all named nodes, by a heartbeat not before `sinceMs`. Throws with the text of
 * `describe` after three minutes.
 */
export async function untilNodesReady(
  plane: ControlPlane,
  names: readonly string[],
  { sinceMs, describe }: { sinceMs: number; describe: () => Promise<string> },
): Promise<void> {
  const giveUpAt = Date.now() + READY_TIMEOUT_MS;
  // A heartbeat has whole seconds.
  const notBeforeMs = Math.floor(sinceMs / 1000) * 1000;
  const missing = async (): Promise<readonly string[]> => {
    const { status, text } = await plane.request({ path: '/api/v1/nodes' });
    if (status !== 200) return names;
    const ready = (JSON.parse(text) as NodeList).items.filter(({ status: { conditions = [] } }) =>
      conditions.some(
        (condition) =>
          condition.type === 'Ready' &&
          condition.status === 'True' &&
          Date.parse(condition.lastHeartbeatTime) >= notBeforeMs,
      ),
    );
    return names.filter((name) => !ready.some(({ metadata }) => metadata.name === name));
  };
  for (;;) {
    const waitedFor = await missing();
    if (waitedFor.length === 0) return;
    if (Date.now() > giveUpAt)
      throw new Error(
        `Not Ready after ${READY_TIMEOUT_MS / 1000} s: ${waitedFor.join(', ')}.\n${await describe()}`,
      );
    await sleep(READY_POLL_MS);
  }
}
