// Docker Engine in a lab node, and the images that the lab's containers are made of. No registry is ever asked.
import { setTimeout as sleep } from 'node:timers/promises';
import { PROJECT_INSIDE } from './lab-node.ts';
import type { Bind, LabNode } from './lab-node.ts';
import { ensureJreRoot } from './node-root.ts';
import type { Progress } from './node-root.ts';
import { ended } from './program.ts';
import { makeBusyboxRoot } from './runc.ts';

/** No bridge and no iptables: a node has no way out. With the containerd image store a checkpoint would need the image by name. */
const DAEMON = {
  experimental: true,
  bridge: 'none',
  iptables: false,
  ip6tables: false,
  features: { 'containerd-snapshotter': false },
};
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;

export interface LabDocker {
  /** `docker ARGS` in the node; throws with stderr unless it exits 0. Gives stdout without the last newline. */
  docker: (...args: string[]) => Promise<string>;
  /** Kills the containers and ends dockerd. The node's stop does it too, and faster. */
  stop: () => Promise<void>;
}

/** Starts dockerd and returns when it answers (about 1 s). Throws with the end of its log when it does not. */
export async function startDocker(node: LabNode): Promise<LabDocker> {
  await node.writeFile('/etc/docker/daemon.json', JSON.stringify(DAEMON));
  const daemon = node.spawn(['sh', '-c', 'exec dockerd > /var/log/dockerd.log 2>&1']);
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  const socket = 'curl --silent --fail --unix-socket /run/docker.sock http://docker/_ping';
  while ((await node.exec(['sh', '-c', socket])).code !== 0) {
    if (daemon.exitCode !== null || Date.now() > giveUpAt) {
      const log = (await node.readFile('/var/log/dockerd.log'))?.toString() ?? '';
      throw new Error(`dockerd did not start in the lab node:\n${log.slice(-2000)}`);
    }
    await sleep(50);
  }
  return {
    docker: async (...args) => (await node.run(['docker', ...args])).trimEnd(),
    stop: async () => {
      // Without the kill a container's shell, which ignores SIGTERM as pid 1, keeps the daemon for 10 s.
      await node.exec([
        'sh',
        '-c',
        'docker ps -q | xargs -r docker kill; kill -TERM "$(cat /run/docker.pid)"',
      ]);
      await Promise.race([ended(daemon), sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
      daemon.kill('SIGKILL');
      await ended(daemon);
    },
  };
}

/** An image of a folder of the node: docker import of its tar. */
export async function importFolder(node: LabNode, name: string, folder: string): Promise<void> {
  await importTar(node, name, ['-C', folder, '.']);
}

/** An image of static busybox alone, 0.2 s. */
export async function importBusyboxImage(node: LabNode, name: string): Promise<void> {
  const folder = '/run/lab-images/busybox';
  await makeBusyboxRoot(node, folder);
  await importFolder(node, name, folder);
}

/** Where {@link jreBind} puts the JRE's tree in a node. */
export const JRE_INSIDE = '/opt/jre-root';

/** The bind that a node needs for {@link importJvmImage}: give it to startLabNode. Builds the JRE's tree if need be. */
export async function jreBind(progress: Progress): Promise<Bind> {
  return { from: await ensureJreRoot(progress), to: JRE_INSIDE, readOnly: true };
}

/** An image of OpenJDK 21 and /GhostJvm.java (230 MB, 2.5 s). The node must have been started with {@link jreBind}. */
export async function importJvmImage(node: LabNode, name: string): Promise<void> {
  const program = `${PROJECT_INSIDE}/hack/lab/ghost-jvm`;
  await importTar(node, name, ['-C', JRE_INSIDE, '.', '-C', program, 'GhostJvm.java']);
}

/** An image of what `tar -cf - ARGUMENTS` packs in the node. */
export async function importTar(node: LabNode, name: string, tarArguments: readonly string[]): Promise<void> {
  const script = 'name=$1; shift; tar -cf - "$@" | docker import - "$name"';
  await node.run(['bash', '-o', 'pipefail', '-ec', script, 'import', name, ...tarArguments]);
}
