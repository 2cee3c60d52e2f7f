// A real etcd and kube-apiserver in a lab node, for tests of the API: no nodes, no controllers. This machine's programs
// reach it on 127.0.0.1; nothing of it outlives the process that started it.
import { setTimeout as sleep } from 'node:timers/promises';
import { startLabNode } from '../lab/lab-node.ts';
import type { Bind, ExecOptions, ExecResult, LabNode } from '../lab/lab-node.ts';
import type { Progress } from '../lab/node-root.ts';
import { runProgram } from '../lab/program.ts';
import { startApiRelay } from './api-relay.ts';
import { requestApi } from './api-request.ts';
import type { ApiAddress, ApiAnswer, ApiCall } from './api-request.ts';
import { createComponent } from './component.ts';
import type { Component } from './component.ts';
import { ensureKubePrograms } from './kube-binaries.ts';
import { ADMIN, kubeconfig, tokenFile, tokenOf } from './lab-users.ts';
import type { LabUser } from './lab-users.ts';
import { makePki, PKI_INSIDE } from './pki.ts';

/** The API server as the lab's own network sees it: the service IP of `kubernetes.default`. */
export const API_INSIDE = 'https://10.96.0.1:443';
const SERVICE_IP = '10.96.0.1';
const BRIDGE_IP = '172.30.0.1';
const ETCD = 'http://127.0.0.1:2379';
const TOKENS = '/etc/kubernetes/tokens.csv';
const ADMIN_KUBECONFIG = '/etc/kubernetes/admin.kubeconfig';
const READY_TIMEOUT_MS = 180_000;
const READY_POLL_MS = 50;
const LOG_LINES = 12;

export interface ControlPlaneOptions {
  /** Beside `admin`, which is in system:masters: who else gets a token. */
  users?: readonly LabUser[];
  /** More words for kube-apiserver. */
  apiServerArgs?: readonly string[];
  progress?: Progress;
}

export interface ControlPlane extends ApiAddress {
  /** The bearer token of `admin`, or of one of the `users`. */
  tokenOf: (userName: string) => string;
  /** A kubeconfig for this machine's programs, as text; of `admin` when absent. */
  kubeconfig: (userName?: string) => string;
  /** A single call; by `admin` unless it names a user. */
  request: (call: Omit<ApiCall, 'token'> & { user?: string }) => Promise<ApiAnswer>;
  /** Kill it, and start it again with {@link restartApiServer}. etcd keeps what was written. */
  apiServer: Component;
  etcd: Component;
  /** Starts kube-apiserver where it was killed and returns when it is ready (2 to 4 s). */
  restartApiServer: () => Promise<void>;
  /** Resolves when /readyz says ok; throws with the end of the logs when it does not. */
  untilReady: () => Promise<void>;
  /** Runs a program of this machine, with this machine's files, in the lab's network; KUBECONFIG is admin's. */
  exec: (argv: readonly string[], options?: ExecOptions) => Promise<ExecResult>;
  /** `kubectl ARGS` as admin; throws with stderr unless it exits 0. Gives stdout. Built on first use. */
  kubectl: (args: readonly string[], options?: ExecOptions) => Promise<string>;
  /** As kubectl. Its own files are in the lab, not in the home folder. */
  helm: (args: readonly string[], options?: ExecOptions) => Promise<string>;
  /** The last lines of each component's log, for the message of a failure. */
  describeLogs: () => Promise<string>;
  /** Where its programs run: etcd on 127.0.0.1:2379, the API server on port 443. */
  node: LabNode;
  /** Ends all of it; calling it again does nothing. */
  stop: () => Promise<void>;
}

const etcdArgv: readonly string[] = [
  ...['etcd', '--data-dir', '/run/etcd', '--unsafe-no-fsync', '--log-level', 'warn'],
  ...['--listen-client-urls', ETCD, '--advertise-client-urls', ETCD],
  ...['--listen-peer-urls', 'http://127.0.0.1:2380'],
];

/**
 * aggregator-routing: webhooks are called by the pod's IP, so that Services work without kube-proxy. allow-privileged:
 * the agent's DaemonSet. Sources: measured, and the flags' own help.
 */
const apiServerArgv = (more: readonly string[]): string[] => [
  'kube-apiserver',
  `--etcd-servers=${ETCD}`,
  ...['--secure-port=443', '--bind-address=0.0.0.0', `--advertise-address=${BRIDGE_IP}`],
  `--tls-cert-file=${PKI_INSIDE}/api.crt`,
  `--tls-private-key-file=${PKI_INSIDE}/api.key`,
  '--service-account-issuer=https://kubernetes.default.svc',
  `--service-account-key-file=${PKI_INSIDE}/sa.key`,
  `--service-account-signing-key-file=${PKI_INSIDE}/sa.key`,
  `--client-ca-file=${PKI_INSIDE}/ca.crt`,
  `--token-auth-file=${TOKENS}`,
  ...['--authorization-mode=Node,RBAC', '--enable-admission-plugins=NodeRestriction'],
  '--service-cluster-ip-range=10.96.0.0/16',
  `--kubelet-client-certificate=${PKI_INSIDE}/kubelet-client.crt`,
  `--kubelet-client-key=${PKI_INSIDE}/kubelet-client.key`,
  ...['--kubelet-preferred-address-types=InternalIP', '--allow-privileged=true'],
  ...['--profiling=false', '--enable-aggregator-routing=true'],
  ...more,
];

/** The lab's network: the nodes' bridge, and the service IP on the loopback so that no kube-proxy is needed for it. */
const NETWORK = `
ip addr add ${SERVICE_IP}/32 dev lo
ip link add br0 type bridge
ip addr add ${BRIDGE_IP}/24 dev br0
ip link set br0 up
echo 1 > /proc/sys/net/ipv4/ip_forward
`;

/**
 * Starts both and returns when the API server is ready: 4 s when the programs and the node's root are cached. Several
 * may run at once. Throws with what is missing on this machine, or with the end of the logs.
 *
 * There are no controllers: a namespace that is deleted stays Terminating, nothing is garbage-collected, no service
 * accounts appear by themselves, and the roles view, edit and admin, which are aggregated, are empty. Pods can be created all the same when `apiServerArgs` has
 * `--disable-admission-plugins=ServiceAccount`.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { progress = () => undefined, users = [], apiServerArgs = [] } = options;
  const programs = await ensureKubePrograms(['etcd', 'kube-apiserver'], progress);
  return await startControlPlaneOn(await startPlaneNode(Object.entries(programs), progress), {
    progress,
    apiServerArgs,
    users,
  });
}

/** A node for a control plane, with the programs (name, file of this machine) in its PATH. */
export function startPlaneNode(
  programs: readonly (readonly [string, string])[],
  progress: Progress,
): Promise<LabNode> {
  const binds = programs.map(([name, from]): Bind => ({
    from,
    to: `/usr/local/bin/${name}`,
    readOnly: true,
  }));
  return startLabNode({ name: 'control-plane', binds, progress });
}

/** The same on a node of {@link startPlaneNode}, which it stops when it fails. */
export async function startControlPlaneOn(
  node: LabNode,
  { progress, users, apiServerArgs }: Required<ControlPlaneOptions>,
): Promise<ControlPlane> {
  const started: (() => Promise<void>)[] = [() => node.stop()];
  const stop = async (): Promise<void> => {
    await Promise.all(started.splice(0).map((end) => end()));
  };
  try {
    const relay = await startApiRelay(node.initPid, `${BRIDGE_IP}:443`);
    started.push(() => relay.stop());
    await node.run(['bash', '-ec', NETWORK]);
    const names = [`IP:${SERVICE_IP}`, `IP:${BRIDGE_IP}`, 'IP:127.0.0.1'];
    const ca = await makePki(node, [...names, ...SERVICE_NAMES.map((name) => `DNS:${name}`)]);
    await node.writeFile(TOKENS, tokenFile([ADMIN, ...users]));
    await node.writeFile(ADMIN_KUBECONFIG, kubeconfig(API_INSIDE, ca, ADMIN.name));
    const etcd = createComponent(node, 'etcd', etcdArgv);
    const apiServer = createComponent(node, 'kube-apiserver', apiServerArgv(apiServerArgs));
    const address = { url: `https://127.0.0.1:${relay.port}`, ca };
    const plane = { ...controlPlane({ address, node, etcd, apiServer, progress }), stop };
    etcd.start();
    apiServer.start();
    await plane.untilReady();
    progress(`the API server answers at ${plane.url}`);
    return plane;
  } catch (error) {
    await stop();
    throw error;
  }
}

const SERVICE_NAMES = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];

interface Parts {
  address: ApiAddress;
  node: LabNode;
  etcd: Component;
  apiServer: Component;
  progress: Progress;
}

function controlPlane({ address, node, etcd, apiServer, progress }: Parts): Omit<ControlPlane, 'stop'> {
  const request: ControlPlane['request'] = ({ user = ADMIN.name, ...call }) =>
    requestApi(address, { ...call, token: tokenOf(user) });
  const describeLogs = (): Promise<string> => describeComponents([etcd, apiServer]);
  const untilReady = async (): Promise<void> => {
    const giveUpAt = Date.now() + READY_TIMEOUT_MS;
    while (!(await isReady(request))) {
      if (!etcd.isRunning() || !apiServer.isRunning() || Date.now() > giveUpAt)
        throw new Error(`The lab's API server is not ready.\n${await describeLogs()}`);
      await sleep(READY_POLL_MS);
    }
  };
  return {
    ...address,
    ...commands(node, progress),
    node,
    etcd,
    apiServer,
    tokenOf,
    request,
    describeLogs,
    untilReady,
    kubeconfig: (userName = ADMIN.name) => kubeconfig(address.url, address.ca, userName),
    restartApiServer: async () => {
      apiServer.start();
      await untilReady();
    },
  };
}

async function isReady(request: ControlPlane['request']): Promise<boolean> {
  try {
    return (await request({ path: '/readyz', timeoutMs: 5_000 })).status === 200;
  } catch {
    return false;
  }
}

/** The last lines of each log, under its name. */
export async function describeComponents(components: readonly Component[]): Promise<string> {
  const parts = components.map(async (component) => {
    const how = component.isRunning() ? 'runs' : 'does not run';
    return `--- ${component.name} (${how}):\n${(await component.readLog(LOG_LINES)).trimEnd()}`;
  });
  return (await Promise.all(parts)).join('\n');
}

type Commands = Pick<ControlPlane, 'exec' | 'kubectl' | 'helm'>;

function commands(node: LabNode, progress: Progress): Commands {
  const inside = `/proc/${node.initPid}/root`;
  const home = `${inside}/run/home`;
  const own = {
    KUBECONFIG: `${inside}${ADMIN_KUBECONFIG}`,
    KUBECACHEDIR: `${home}/kube-cache`,
    HELM_CACHE_HOME: `${home}/helm-cache`,
    HELM_CONFIG_HOME: `${home}/helm-config`,
    HELM_DATA_HOME: `${home}/helm-data`,
  };
  const exec: Commands['exec'] = async (argv, { cwd, env, ...rest } = {}) => {
    const words = ['nsenter', `--net=/proc/${node.initPid}/ns/net`, 'setpriv', '--pdeathsig', 'KILL'];
    const there = cwd === undefined ? [] : ['env', `--chdir=${cwd}`];
    const result = await runProgram([...words, ...there, ...argv], {
      ...rest,
      env: { ...process.env, ...own, ...env },
    });
    return { ...result, stdout: result.stdout.toString('utf8') };
  };
  const tool =
    (name: 'kubectl' | 'helm'): Commands['kubectl'] =>
    async (args, options) => {
      const { [name]: file } = await ensureKubePrograms([name], progress);
      const { code, stdout, stderr } = await exec([file, ...args], options);
      if (code === 0) return stdout;
      throw new Error(`${[name, ...args].join(' ').slice(0, 300)} exited with ${code}:\n${stderr || stdout}`);
    };
  return { exec, kubectl: tool('kubectl'), helm: tool('helm') };
}
