// Makes images for containerd out of folders of a lab node: OCI layouts of one layer, imported with ctr. It asks no
// registry.
import { createHash } from 'node:crypto';
import type { LabNode } from './lab-node.ts';

export interface OciImage {
  /** The whole name: `docker.io/library/pause:lab`. */
  name: string;
  /** What `tar -cf - ARGUMENTS` packs in the node is its file system. */
  tarArguments: readonly string[];
  /** The program when a container names none. */
  command?: readonly string[];
}

interface Blob {
  digest: string;
  size: number;
}

const MEDIA = 'application/vnd.oci.image';
const ARCHITECTURES: Partial<Record<string, string>> = { x64: 'amd64' };

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
  const [digest = '', size = '0'] = packed.trim().split(' ');
  const blob = (value: unknown): Promise<Blob> => writeBlob(node, layout, value);
  const config = await blob({
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    config: { Env: ['PATH=/usr/bin:/bin'], Cmd: image.command ?? ['/bin/sleep', '1000000'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  });
  const manifest = await blob({
    schemaVersion: 2,
    mediaType: `${MEDIA}.manifest.v1+json`,
    config: { mediaType: `${MEDIA}.config.v1+json`, ...config },
    layers: [{ mediaType: `${MEDIA}.layer.v1.tar`, digest: `sha256:${digest}`, size: Number(size) }],
  });
  const annotations = { 'io.containerd.image.name': image.name };
  const manifests = [{ mediaType: `${MEDIA}.manifest.v1+json`, ...manifest, annotations }];
  await node.writeFile(`${layout}/index.json`, JSON.stringify({ schemaVersion: 2, manifests }));
  await node.writeFile(`${layout}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  const script = 'tar -C "$1" -cf - . | "$2" --namespace k8s.io images import -; rm -r "$1"';
  await node.run(['bash', '-o', 'pipefail', '-ec', script, 'import', layout, ctr]);
}

async function writeBlob(node: LabNode, layout: string, value: unknown): Promise<Blob> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = createHash('sha256').update(bytes).digest('hex');
  await node.writeFile(`${layout}/blobs/sha256/${digest}`, bytes);
  return { digest: `sha256:${digest}`, size: bytes.length };
}
