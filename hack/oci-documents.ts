// The JSON of an OCI image: config, manifest, index, and the list that `docker load` reads. Pure: it packs and writes
// nothing. Source: OCI image specification 1.1; Docker's image specification 1.2 for manifest.json.
import { createHash } from 'node:crypto';

export interface OciBlob {
  /** Hexadecimal SHA-256. */
  digest: string;
  bytes: number;
}

/** What a container runs when it names nothing else; the words of the specification. */
export interface OciConfig {
  Env?: readonly string[];
  Entrypoint?: readonly string[];
  Cmd?: readonly string[];
  Labels?: Readonly<Record<string, string>>;
}

export interface OciDescription {
  /** Whole names: `docker.io/library/pause:1`. */
  names: readonly string[];
  /** Uncompressed tars, the lowest first. */
  layers: readonly OciBlob[];
  config: OciConfig;
}

export interface OciFile {
  /** Its path in the layout. The layers are in `blobs/sha256/DIGEST`. */
  path: string;
  text: string;
}

const MEDIA = 'application/vnd.oci.image';
const ARCHITECTURES: Partial<Record<string, string>> = { x64: 'amd64' };

export const blobPath = (digest: string): string => `blobs/sha256/${digest}`;

/** Every file of the image's layout but its layers. The same description gives the same text. */
export function ociDocuments({ names, layers, config }: OciDescription): OciFile[] {
  const configFile = blobFile({
    created: '1970-01-01T00:00:00Z',
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
  });
  const manifestFile = blobFile({
    schemaVersion: 2,
    mediaType: `${MEDIA}.manifest.v1+json`,
    config: descriptor('config.v1+json', configFile.blob),
    layers: layers.map((layer) => descriptor('layer.v1.tar', layer)),
  });
  const manifests = names.map((name) => ({
    ...descriptor('manifest.v1+json', manifestFile.blob),
    annotations: { 'io.containerd.image.name': name },
  }));
  const docker = [
    { Config: configFile.path, RepoTags: names, Layers: layers.map(({ digest }) => blobPath(digest)) },
  ];
  return [
    { path: configFile.path, text: configFile.text },
    { path: manifestFile.path, text: manifestFile.text },
    { path: 'index.json', text: JSON.stringify({ schemaVersion: 2, manifests }) },
    { path: 'manifest.json', text: JSON.stringify(docker) },
    { path: 'oci-layout', text: '{"imageLayoutVersion":"1.0.0"}' },
  ];
}

const descriptor = (kind: string, { digest, bytes }: OciBlob): Record<string, string | number> => ({
  mediaType: `${MEDIA}.${kind}`,
  digest: `sha256:${digest}`,
  size: bytes,
});

function blobFile(value: unknown): OciFile & { blob: OciBlob } {
  const text = JSON.stringify(value);
  const digest = createHash('sha256').update(text).digest('hex');
  return { path: blobPath(digest), text, blob: { digest, bytes: Buffer.byteLength(text) } };
}
