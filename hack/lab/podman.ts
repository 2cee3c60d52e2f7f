// Podman's REST service in a lab node, with runc and crun both. No registry is ever asked.
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecResult, LabNode } from './lab-node.ts';
import { ended } from './program.ts';
import type { OciRuntime } from './runc.ts';
import { makeBusyboxRoot } from './runc.ts';

/** No systemd runs in a node, so neither its cgroups nor its journal; and there is no network but the node's own. */
const CONTAINERS_CONF = `
[containers]
log_driver = "k8s-file"
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
`;
const SERVICE_LOG = '/var/log/podman-service.log';
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;

/** Where the service listens in the node: the path that Podman's own systemd socket has. */
export const PODMAN_SOCKET = '/run/podman/podman.sock';

export interface LabPodman {
  /** The service's socket as this machine sees it. */
  socketPath: string;
  /** `podman ARGS` in the node; throws with stderr unless it exits 0. Gives stdout without the last newline. */
  podman: (...args: string[]) => Promise<string>;
  /** Starts a container detached, on the node's network, under the given runtime. Gives its id. */
  runContainer: (options: PodmanContainerOptions) => Promise<string>;
  /** `podman container checkpoint --leave-running ID` as a user calls it; never throws for its exit code. */
  checkpoint: (id: string) => Promise<ExecResult>;
  /** Where CRIU's log of this container's last failed checkpoint is in the node. */
  dumpLogPath: (id: string) => Promise<string>;
  /** What the service printed so far: the runtimes' own words, which no REST answer holds. */
  readServiceLog: () => Promise<string>;
  /** Kills the containers and ends the service. The node's stop does it too, and faster. */
  stop: () => Promise<void>;
}

export interface PodmanContainerOptions {
  name: string;
  runtime: OciRuntime;
  image: string;
  args: readonly string[];
  annotations?: Record<string, string>;
}

const ENVIRONMENT = { PODMAN_IGNORE_CGROUPSV1_WARNING: '1' };

/** Starts Podman's service and returns when it answers (0.2 s). Throws with its log when it does not. */
export async function startPodman(node: LabNode): Promise<LabPodman> {
  await node.writeFile('/etc/containers/containers.conf', CONTAINERS_CONF);
  await node.run(['mkdir', '-p', '/run/podman']);
  const script = `exec podman system service --time=0 unix://${PODMAN_SOCKET} > ${SERVICE_LOG} 2>&1`;
  const service = node.spawn(['sh', '-c', script], { env: ENVIRONMENT });
  const readServiceLog = async (): Promise<string> => (await node.readFile(SERVICE_LOG))?.toString() ?? '';
  await untilItAnswers(node, service, readServiceLog);
  const podman = async (...args: string[]): Promise<string> =>
    (await node.run(['podman', ...args], { env: ENVIRONMENT })).trimEnd();
  return {
    socketPath: `${node.rootPath}${PODMAN_SOCKET}`,
    podman,
    readServiceLog,
    runContainer: ({ name, runtime, image, args, annotations = {} }) =>
      podman(
        ...['--runtime', runtime, 'run', '--detach', '--name', name, '--network', 'host'],
        ...Object.entries(annotations).map(([key, value]) => `--annotation=${key}=${value}`),
        ...[image, ...args],
      ),
    checkpoint: (id) =>
      node.exec(['podman', 'container', 'checkpoint', '--leave-running', id], { env: ENVIRONMENT }),
    dumpLogPath: async (id) => `${await podman('inspect', '--format', '{{.StaticDir}}', id)}/dump.log`,
    stop: async () => {
      await node.exec(['podman', 'rm', '--all', '--force', '--time', '0'], { env: ENVIRONMENT });
      await node.exec(['pkill', '-TERM', '-x', '-f', `podman system service .*${PODMAN_SOCKET}`]);
      await Promise.race([ended(service), sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
      service.kill('SIGKILL');
      await ended(service);
    },
  };
}

async function untilItAnswers(
  node: LabNode,
  service: ChildProcess,
  readLog: () => Promise<string>,
): Promise<void> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  const ping = ['curl', '--silent', '--fail', '--unix-socket', PODMAN_SOCKET, 'http://podman/_ping'];
  while ((await node.exec(ping)).code !== 0) {
    if (service.exitCode !== null || Date.now() > giveUpAt)
      throw new Error(`Podman's service did not start in the lab node:\n${(await readLog()).slice(-2000)}`);
    await sleep(50);
  }
}

/** An image of static busybox alone, 0.3 s. Its full name is `localhost/NAME`. */
export async function importPodmanBusyboxImage(node: LabNode, name: string): Promise<void> {
  const folder = '/run/lab-images/podman-busybox';
  await makeBusyboxRoot(node, folder);
  const script = 'tar -C "$1" -cf - . | podman import --quiet - "$2"';
  await node.run(['bash', '-o', 'pipefail', '-ec', script, 'import', folder, name], { env: ENVIRONMENT });
}
