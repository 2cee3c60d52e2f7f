// Restores an archive of a Kubernetes container with plain runc in a lab node: what is left of a pod when its node is gone. The pod's own mounts (hosts, its
// service account, its shared memory) get stand-ins, as they are not in an archive.
import { join } from 'node:path';
import type { LabNode } from './lab-node.ts';
import { makeBusyboxRoot } from './runc.ts';

export interface RestoredContainer {
  /** As the node counts. */
  readonly pid: number;
  /** Kills and deletes it. */
  readonly remove: () => Promise<void>;
}

interface OciSpec {
  readonly mounts: readonly {
    readonly destination: string;
    readonly type: string;
    readonly source: string;
  }[];
  readonly linux: { readonly namespaces: readonly { readonly type: string }[] };
}

/** Mounts of a pod that are folders; the others are files. */
const FOLDERS = ['/dev/shm', '/var/run/secrets/kubernetes.io/serviceaccount'];

/** `archive` is a path in the node, of a container with the lab's busybox image. Throws with the log of CRIU. */
export async function restoreArchive(node: LabNode, id: string, archive: string): Promise<RestoredContainer> {
  const bundle = `/run/lab-bundles/${id}`;
  await makeBusyboxRoot(node, `${bundle}/rootfs`);
  const unpack =
    'tar -xf "$2" -C "$1"; [ ! -e "$1"/rootfs-diff.tar ] || tar -xf "$1"/rootfs-diff.tar -C "$1"/rootfs';
  await node.run(['sh', '-ec', unpack, 'unpack', bundle, archive]);
  const spec = JSON.parse((await node.readFile(`${bundle}/spec.dump`))?.toString() ?? '') as OciSpec;
  await node.writeFile(`${bundle}/config.json`, JSON.stringify(await ownSpec(node, id, bundle, spec)));
  const restore =
    'exec runc restore --detach --bundle "$1" --image-path "$1/checkpoint" --work-path "$1" --pid-file "$1/pid" "$2" < /dev/null > "$1/said" 2>&1';
  const { code } = await node.exec(['sh', '-c', restore, 'restore', bundle, id]);
  if (code !== 0) throw new Error(`runc restore exited with ${code}:\n${await logsOf(node, bundle)}`);
  return {
    pid: Number((await node.readFile(`${bundle}/pid`))?.toString()),
    remove: async () => {
      await node.exec(['runc', 'delete', '--force', id]);
      await node.run(['rm', '-rf', bundle]);
    },
  };
}

/** Its own in place of the pod's: namespaces, cgroup, mounts. The network is the node's: CRIU wants one from outside where the pod's was. */
async function ownSpec(node: LabNode, id: string, bundle: string, spec: OciSpec): Promise<unknown> {
  const mounts: OciSpec['mounts'][number][] = [];
  for (const mount of spec.mounts)
    mounts.push(
      mount.type === 'bind' ? { ...mount, source: await standIn(node, bundle, mount.destination) } : mount,
    );
  const namespaces = spec.linux.namespaces.map(({ type }) =>
    type === 'network' ? { type, path: '/proc/1/ns/net' } : { type },
  );
  return {
    ...spec,
    root: { path: 'rootfs' },
    mounts,
    linux: { ...spec.linux, cgroupsPath: `/runc/${id}`, namespaces },
  };
}

async function standIn(node: LabNode, bundle: string, destination: string): Promise<string> {
  const path = join(bundle, 'mounts', destination);
  if (FOLDERS.includes(destination)) await node.run(['mkdir', '-p', path]);
  else await node.writeFile(path, '');
  return path;
}

async function logsOf(node: LabNode, bundle: string): Promise<string> {
  const logs = await Promise.all(['said', 'restore.log'].map((name) => node.readFile(`${bundle}/${name}`)));
  return logs.map((log) => (log?.toString() ?? '').slice(-3000)).join('\n');
}
