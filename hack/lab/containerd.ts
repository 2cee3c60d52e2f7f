// containerd with its CRI in a lab node: the one of the node's root, or the one built from its module. Pods are run as
// a kubelet would run them, on the node's network, without CNI.
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUILT_CONTAINERD_INSIDE } from './containerd-build.ts';
import { connectCri } from './cri-client.ts';
import type { CriClient } from './cri-client.ts';
import type { LabNode } from './lab-node.ts';
import { importOciImage } from './oci-image.ts';
import type { OciImage } from './oci-image.ts';
import { ended } from './program.ts';
import { makeBusyboxRoot } from './runc.ts';

/** Where it listens in the node. */
export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';
const PAUSE_IMAGE = 'docker.io/library/pause:lab';
const LOG = '/var/log/containerd.log';
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;

export interface ContainerdOptions {
  /** `root`: the 2.1 of the node's root. `built`: the 2.4 of containerd-build.ts, whose bind the node must have. */
  version: 'root' | 'built';
  /** Annotations of a pod, and of a container, that reach the OCI spec (globs); none on a stock node. */
  passedAnnotations?: readonly string[];
}

export interface LabContainerd {
  cri: CriClient;
  /** Its socket as this machine sees it. */
  socketPath: string;
  importImage: (image: OciImage) => Promise<void>;
  /** An image of static busybox alone, 0.3 s. */
  importBusyboxImage: (name: string) => Promise<void>;
  /** Where the shim leaves CRIU's log of a failed checkpoint of this container. */
  dumpLogPath: (containerId: string) => string;
  /** Ends containerd, not its containers: they end with the node. */
  stop: () => Promise<void>;
}

/**
 * On a machine without CAP_SYS_RESOURCE runc cannot lower oom_score_adj: restrict_oom_score_adj has it not try. The CNI
 * plugins are where Debian has them; without a configuration of CNI none is called.
 */
const config = (annotations: readonly string[]): string => `
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '${PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  pod_annotations = ${JSON.stringify(annotations)}
  container_annotations = ${JSON.stringify(annotations)}
`;

/** Starts containerd, imports the sandbox image and returns when the CRI answers (0.6 s). Throws with the end of its log. */
export async function startContainerd(node: LabNode, options: ContainerdOptions): Promise<LabContainerd> {
  const folder = options.version === 'built' ? BUILT_CONTAINERD_INSIDE : '/usr/bin';
  await node.writeFile('/etc/containerd/config.toml', config(options.passedAnnotations ?? []));
  // It finds its shim by PATH.
  const script = `PATH="$1:$PATH" exec "$1/containerd" > ${LOG} 2>&1`;
  const daemon = node.spawn(['sh', '-c', script, 'containerd', folder]);
  const socketPath = `${node.rootPath}${CONTAINERD_SOCKET}`;
  await untilItAnswers(node, daemon, socketPath);
  const importImage = (image: OciImage): Promise<void> => importOciImage(node, image, `${folder}/ctr`);
  const importBusyboxImage = async (name: string): Promise<void> => {
    const root = '/run/lab-images/containerd-busybox';
    await makeBusyboxRoot(node, root);
    await importImage({ name, tarArguments: ['-C', root, '.'] });
  };
  await importBusyboxImage(PAUSE_IMAGE);
  const cri = connectCri(socketPath);
  return {
    cri,
    socketPath,
    importImage,
    importBusyboxImage,
    dumpLogPath: (id) => `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}/criu-dump.log`,
    stop: async () => {
      cri.close();
      await node.exec(['pkill', '-TERM', '-x', 'containerd']);
      await Promise.race([ended(daemon), sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
      daemon.kill('SIGKILL');
      await ended(daemon);
    },
  };
}

/** Throws with the end of its log when it ends, or takes two minutes. */
export async function untilItAnswers(node: LabNode, daemon: ChildProcess, socketPath: string): Promise<void> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(socketPath))) {
    if (daemon.exitCode !== null || Date.now() > giveUpAt) {
      const log = (await node.readFile(LOG))?.toString() ?? '';
      throw new Error(`containerd did not start in the lab node:\n${log.slice(-2000)}`);
    }
    await sleep(50);
  }
}

async function answers(socketPath: string): Promise<boolean> {
  const cri = connectCri(socketPath);
  try {
    await cri.version();
    return true;
  } catch {
    return false;
  } finally {
    cri.close();
  }
}
