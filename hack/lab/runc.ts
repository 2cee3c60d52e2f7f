// Containers of plain runc or crun in a lab node: busybox and nothing else, detached, so that `runc checkpoint` can
// dump them.
import type { ExecResult, LabNode } from './lab-node.ts';

export type OciRuntime = 'runc' | 'crun';

export interface RuncContainerOptions {
  id: string;
  /** The program that runs and checkpoints it; runc when absent. crun does so through libcriu. */
  runtime?: OciRuntime;
  /** The program and its words; `/bin/busybox` is there, with `sh` and the rest by name. */
  args: readonly string[];
  /** OCI mounts besides /proc, /dev, /dev/shm and /sys. */
  mounts?: readonly OciMount[];
  annotations?: Record<string, string>;
  /** Without a network namespace CRIU has no network to lock: 60 ms less a dump (measured). */
  hostNetwork?: boolean;
}

export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: readonly string[];
}

export interface RuncContainer {
  id: string;
  /** Pid of the container's init as the node counts. */
  pid: number;
  bundle: string;
  /** Where the container's root file system is in the node. */
  rootfs: string;
  /** `runc checkpoint --leave-running` into fresh folders; see {@link RuncCheckpoint}. */
  checkpoint: () => Promise<RuncCheckpoint>;
  /** Kills and deletes it. */
  remove: () => Promise<void>;
}

export interface RuncCheckpoint extends ExecResult {
  imagePath: string;
  workPath: string;
}

const CAPABILITIES = [
  ...[
    'CAP_CHOWN',
    'CAP_DAC_OVERRIDE',
    'CAP_FOWNER',
    'CAP_FSETID',
    'CAP_KILL',
    'CAP_MKNOD',
    'CAP_NET_BIND_SERVICE',
  ],
  ...[
    'CAP_NET_RAW',
    'CAP_SETFCAP',
    'CAP_SETGID',
    'CAP_SETPCAP',
    'CAP_SETUID',
    'CAP_SYS_CHROOT',
    'CAP_AUDIT_WRITE',
  ],
];

const MOUNTS: readonly OciMount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: [] },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755'] },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777'],
  },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

const NAMESPACES = ['pid', 'network', 'ipc', 'uts', 'mount'];

function ociConfig({
  id,
  args,
  mounts = [],
  annotations = {},
  hostNetwork = false,
}: RuncContainerOptions): unknown {
  return {
    ociVersion: '1.2.0',
    process: {
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin'],
      cwd: '/',
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
    },
    root: { path: 'rootfs' },
    hostname: id,
    mounts: [...MOUNTS, ...mounts],
    annotations,
    linux: {
      cgroupsPath: `/runc/${id}`,
      namespaces: NAMESPACES.filter((type) => !(hostNetwork && type === 'network')).map((type) => ({ type })),
      maskedPaths: ['/proc/kcore', '/proc/keys'],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys'],
    },
  };
}

/** A root file system of static busybox with its applets by name, at a folder on the node's tmpfs. */
export async function makeBusyboxRoot(node: LabNode, folder: string): Promise<void> {
  const script = `mkdir -p "$1"/bin "$1"/proc "$1"/dev "$1"/sys "$1"/etc "$1"/run && mkdir -p -m 1777 "$1"/tmp
    cp /bin/busybox "$1"/bin/busybox && chroot "$1" /bin/busybox --install -s /bin`;
  await node.run(['sh', '-ec', script, 'root', folder]);
}

/** Starts a container with /dev/null for stdin, stdout and stderr (a file from outside cannot be dumped, measured). */
export async function startRuncContainer(
  node: LabNode,
  options: RuncContainerOptions,
): Promise<RuncContainer> {
  const { id, runtime = 'runc' } = options;
  const bundle = `/run/lab-bundles/${id}`;
  const rootfs = `${bundle}/rootfs`;
  await makeBusyboxRoot(node, rootfs);
  await node.writeFile(`${bundle}/config.json`, JSON.stringify(ociConfig(options), null, 2));
  const pidFile = `${bundle}/pid`;
  const start =
    'exec "$0" --log "$1/log" run --detach --bundle "$1" --pid-file "$2" "$3" < /dev/null > /dev/null 2>&1';
  const { code } = await node.exec(['sh', '-c', start, runtime, bundle, pidFile, id]);
  if (code !== 0)
    throw new Error(
      `${runtime} run ${id} exited with ${code}:\n${(await node.readFile(`${bundle}/log`))?.toString() ?? ''}`,
    );
  const pid = Number((await node.readFile(pidFile))?.toString());
  let attempts = 0;
  return {
    id,
    pid,
    bundle,
    rootfs,
    checkpoint: async () => {
      attempts += 1;
      const imagePath = `/run/lab-checkpoints/${id}/${attempts}/image`;
      const workPath = `/run/lab-checkpoints/${id}/${attempts}/work`;
      await node.run(['mkdir', '-p', imagePath, workPath]);
      const argv = [
        runtime,
        'checkpoint',
        '--leave-running',
        '--image-path',
        imagePath,
        '--work-path',
        workPath,
        id,
      ];
      return { ...(await node.exec(argv)), imagePath, workPath };
    },
    remove: async () => {
      await node.exec([runtime, 'delete', '--force', id]);
      await node.run(['rm', '-rf', bundle]);
    },
  };
}
