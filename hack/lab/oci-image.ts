// Makes images for containerd out of folders of a lab node: OCI layouts of one layer, imported with ctr. It asks no
// registry.
import { createHash } from 'node:crypto';
import { ociDocuments } from '../oci-documents.ts';
import type { LabNode } from './lab-node.ts';

export interface OciImage {
  /** The whole name: `docker.io/library/pause:lab`. */
  name: string;
  /** What `tar -cf - ARGUMENTS` packs in the node is its file system. */
  tarArguments: readonly string[];
  /** The program when a container names none. */
  command?: readonly string[];
}

/** Packs the layer into the layout and prints its digest and size. */
const LAYER = `
layout=$1; shift; rm -rf "$layout"; mkdir -p "$layout/blobs/sha256"
tar --owner=0 --group=0 -cf "$layout/layer" "$@"
digest=$(sha256sum "$layout/layer" | cut -d " " -f 1)
stat -c "$digest %s" "$layout/layer"
mv "$layout/layer" "$layout/blobs/sha256/$digest"
`;

/** Imports the image into containerd's namespace for Kubernetes. `ctr` is the program of that containerd. 0.3 s. */
export async function importOciImage(node: LabNode, image: OciImage, ctr = 'ctr'): Promise<void> {
  const layout = `/run/lab-images/oci-${createHash('sha256').update(image.name).digest('hex').slice(0, 8)}`;
  const packed = await node.run([
    ...['bash', '-o', 'pipefail', '-ec', LAYER, 'layer', layout],
    ...image.tarArguments,
  ]);
  const [digest = '', bytes = '0'] = packed.trim().split(' ');
  const documents = ociDocuments({
    names: [image.name],
    layers: [{ digest, bytes: Number(bytes) }],
    config: { Env: ['PATH=/usr/bin:/bin'], Cmd: image.command ?? ['/bin/sleep', '1000000'] },
  });
  for (const { path, text } of documents) await node.writeFile(`${layout}/${path}`, text);
  const script = 'tar -C "$1" -cf - . | "$2" --namespace k8s.io images import -; rm -r "$1"';
  await node.run(['bash', '-o', 'pipefail', '-ec', script, 'import', layout, ctr]);
}
