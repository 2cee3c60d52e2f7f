// Reads who a checkpoint is of from config.dump and spec.dump, as Podman, CRI-O and containerd write them. What it reads may be forged: strings of bounded length and nothing else.
import type { ArchiveIdentity } from '../../ports/checkpoint-archives.ts';

export const NO_IDENTITY: ArchiveIdentity = {
  containerId: null,
  containerName: null,
  podName: null,
  podNamespace: null,
  podUID: null,
  checkpointedTime: null,
};

/** The longest name of Kubernetes. */
const TEXT_MAX = 253;

type Json = Readonly<Record<string, unknown>>;

/** null: no JSON object. Depth is no danger: the file is bounded. */
export function parseDump(bytes: Uint8Array): Json | null {
  try {
    return asObject(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null;
  }
}

/** null for a file that is missing or unreadable. containerd's annotations count before those that kubelet and CRI-O share. */
export function identityIn(config: Json | null, spec: Json | null): ArchiveIdentity {
  const annotations = asObject(spec?.['annotations']) ?? {};
  const first = (...keys: readonly string[]): string | null =>
    keys.map((key) => text(annotations[key])).find((value) => value !== null) ?? null;
  return {
    containerId: text(config?.['id']),
    containerName:
      first('io.kubernetes.cri.container-name', 'io.kubernetes.container.name') ?? text(config?.['name']),
    podName: first('io.kubernetes.cri.sandbox-name', 'io.kubernetes.pod.name'),
    podNamespace: first('io.kubernetes.cri.sandbox-namespace', 'io.kubernetes.pod.namespace'),
    podUID: first('io.kubernetes.cri.sandbox-uid', 'io.kubernetes.pod.uid'),
    checkpointedTime: time(config?.['checkpointedTime']),
  };
}

function asObject(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= TEXT_MAX ? value : null;
}

/** Go writes the year 1 where there is no time. */
function time(value: unknown): string | null {
  const said = text(value);
  if (said === null || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(said))
    return null;
  const ms = Date.parse(said);
  return Number.isNaN(ms) || said.startsWith('0001-') ? null : said;
}
