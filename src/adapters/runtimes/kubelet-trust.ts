// By which certificates the kubelet of this node may prove itself, and as whom. Reads files; there is no way to trust without one.
import { X509Certificate } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import { pathOnHost } from './path-on-host.ts';

export interface KubeletTrust {
  /** Where it was read, for messages: a path as its owner knows it. */
  readonly from: string;
  /** PEM. */
  readonly ca: string;
  /** The serving certificate must be for one of these: DNS names or IP addresses. */
  readonly identities: readonly string[];
}

export interface TrustOptions {
  readonly hostRoot: string;
  /** The address that is called. */
  readonly address: string;
  /** In the API. */
  readonly nodeName: string;
  /** The kubelet's own, of the host. */
  readonly rootDirectory: string;
  /** Of this process; null: found out. */
  readonly caFile: string | null;
  /** The cluster's, of this process. */
  readonly clusterCaFile: string;
}

/** In the kubelet's root directory. */
const SELF_SIGNED = 'pki/kubelet.crt';
/** The kubelet keeps it only with serverTLSBootstrap. */
const BOOTSTRAPPED = 'pki/kubelet-server-current.pem';

/**
 * What may be trusted, the likeliest first; empty: nothing is known to prove this kubelet. Reads anew each time, as the kubelet makes another certificate at a restart.
 * Source: kubernetes cmd/kubelet/app/server.go, InitializeTLS: a certificate of its own making, beside its one-off authority, is for the host's name and no address.
 */
export async function kubeletTrust(options: TrustOptions): Promise<readonly KubeletTrust[]> {
  const { hostRoot, rootDirectory, caFile, clusterCaFile } = options;
  if (caFile !== null) return await signedBy(caFile, options);
  const selfSigned = await selfSignedTrust(hostRoot, `${rootDirectory}/${SELF_SIGNED}`);
  if (selfSigned.length > 0 && !(await isOnHost(hostRoot, `${rootDirectory}/${BOOTSTRAPPED}`)))
    return selfSigned;
  return [...(await signedBy(clusterCaFile, options)), ...selfSigned];
}

async function signedBy(file: string, { address, nodeName }: TrustOptions): Promise<readonly KubeletTrust[]> {
  const ca = await readOrNull(file);
  return ca === null ? [] : [{ from: file, ca, identities: [address, nodeName] }];
}

async function selfSignedTrust(hostRoot: string, file: string): Promise<readonly KubeletTrust[]> {
  const ca = await readOrNull(await pathOnHost(hostRoot, file));
  if (ca === null) return [];
  const identities = dnsNames(ca);
  return identities.length === 0 ? [] : [{ from: file, ca, identities }];
}

/** Of the first certificate of the file, the kubelet's own. The host's name need not be that of the node. */
function dnsNames(pem: string): readonly string[] {
  try {
    const names = new X509Certificate(pem).subjectAltName ?? '';
    return [...names.matchAll(/DNS:([^,\s"]+)/g)].map(([, name]) => name ?? '');
  } catch {
    return [];
  }
}

/** The link itself: what it leads to may not be mounted here. */
async function isOnHost(hostRoot: string, path: string): Promise<boolean> {
  return await lstat(await pathOnHost(hostRoot, path)).then(
    () => true,
    () => false,
  );
}

async function readOrNull(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch(() => null);
}
