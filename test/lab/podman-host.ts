// A lab node with Podman as a user's host: the built product in it, and what tests of CRIU's files ask of them.
import { importPodmanBusyboxImage, startPodman } from '../../hack/lab/podman.ts';
import type { LabPodman } from '../../hack/lab/podman.ts';
import { PROJECT_INSIDE, startLabNode } from '../../hack/lab/lab-node.ts';
import type { ExecResult, LabNode, LabNodeOptions } from '../../hack/lab/lab-node.ts';
import type { OciRuntime } from '../../hack/lab/runc.ts';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import type { CheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';
import type { CheckpointRequest, ContainerResult } from '../../src/api/checkpoint-request.ts';
import { eventually, POLICIES } from './standalone-host.ts';

const PROGRAM = `${PROJECT_INSIDE}/dist/ghostlimit.mjs`;

export interface PodmanHost {
  readonly node: LabNode;
  readonly podman: LabPodman;
  ghostlimit(...args: string[]): Promise<ExecResult>;
  /** `apply -f POLICIES` and its report. */
  apply(...flags: string[]): Promise<CheckpointNodeStatus>;
  /** `checkpoint NAME` through ghostlimit. */
  checkpoint(name: string): Promise<ContainerResult>;
  /** `podman container checkpoint -R NAME`, as a user does it: what it printed when it failed and the log that is there then; empty when it did not. */
  dump(name: string): Promise<string>;
  /** A busybox container with the label app=NAME that holds `bytes` in one deleted file. */
  startHolder(name: string, runtime: OciRuntime, bytes: number, ...flags: string[]): Promise<void>;
  /** Text of a file; null: there is none. */
  text(path: string): Promise<string | null>;
}

export async function startPodmanHost(options: Omit<LabNodeOptions, 'progress'>): Promise<PodmanHost> {
  const node = await startLabNode({ ...options, progress: () => undefined });
  const podman = await startPodman(node);
  await importPodmanBusyboxImage(node, 'busybox');
  await node.run(['mkdir', '-p', POLICIES]);
  const ghostlimit: PodmanHost['ghostlimit'] = (...args) => node.exec(['node', PROGRAM, ...args]);
  const json = async <T>(...args: string[]): Promise<T> => {
    const { code, stdout, stderr } = await ghostlimit(...args, '-o', 'json');
    if (stdout === '')
      throw new Error(`ghostlimit ${args.join(' ')} printed nothing (exit ${code.toString()}): ${stderr}`);
    return JSON.parse(stdout) as T;
  };
  return {
    node,
    podman,
    ghostlimit,
    apply: (...flags) => json<CheckpointNodeStatus>('apply', '-f', POLICIES, ...flags),
    checkpoint: async (name) => {
      const [result] = (await json<CheckpointRequest>('checkpoint', name)).status.containers;
      if (result === undefined) throw new Error('no container in the answer');
      return result;
    },
    dump: async (name) => {
      const { code, stderr } = await podman.checkpoint(name);
      if (code === 0) return '';
      // An older crun does not quote CRIU's log.
      return `${stderr}${(await node.readFile(await podman.dumpLogPath(name)))?.toString() ?? ''}`;
    },
    startHolder: async (name, runtime, bytes, ...flags) => {
      await podman.podman(
        ...['--runtime', runtime, 'run', '--detach', '--name', name, '--network', 'host'],
        ...['--label', `app=${name}`, ...flags, 'localhost/busybox'],
        ...ghostHolder([{ path: '/tmp/ghost.so', bytes }]),
      );
      await eventually(`${name} to hold its file`, async () =>
        (await node.exec(['podman', 'exec', name, 'cat', '/tmp/ready'])).stdout === 'ready\n' ? true : null,
      );
    },
    text: async (path) => (await node.readFile(path))?.toString() ?? null,
  };
}
