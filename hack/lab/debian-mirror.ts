// Finds the Debian mirror that this machine's apt already uses, so that the project names none. It changes nothing.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface AptSource {
  uri: string;
  suites: readonly string[];
  /** Path of the keyring that signs it, when the entry names one. */
  signedBy?: string;
}

const field = (stanza: string, name: string): string | undefined =>
  new RegExp(`^${name}:[ \\t]*(.*)$`, 'im').exec(stanza)?.[1]?.trim();

const keyring = (path: string | undefined): { signedBy?: string } =>
  path?.startsWith('/') ? { signedBy: path } : {};

/** Entries of one deb822 file (`*.sources`, man 5 sources.list), the disabled and the source-only left out. */
export function parseDeb822Sources(text: string): AptSource[] {
  const stanzas = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .split(/\n[ \t]*\n/);
  return stanzas.flatMap((stanza) => {
    const types = field(stanza, 'Types')?.split(/\s+/) ?? [];
    if (!types.includes('deb') || field(stanza, 'Enabled')?.toLowerCase() === 'no') return [];
    const suites = field(stanza, 'Suites')?.split(/\s+/) ?? [];
    const uris = field(stanza, 'URIs')?.split(/\s+/) ?? [];
    return uris.map((uri) => ({ uri, suites, ...keyring(field(stanza, 'Signed-By')) }));
  });
}

/** Entries of one file in the one-line format (`deb [options] uri suite component...`). */
export function parseOneLineSources(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)/.exec(line);
    const [, options = '', uri, suite] = match ?? [];
    if (uri === undefined || suite === undefined) return [];
    return [{ uri, suites: [suite], ...keyring(/signed-by=(\S+)/i.exec(options)?.[1]) }];
  });
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function listIfThere(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}

const isMainArchive = (source: AptSource): boolean =>
  /^(https?|file|mirror\+https?):/.test(source.uri) && source.suites.some((suite) => !/security/.test(suite));

const ARCHIVE_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * The mirror of the first enabled apt entry that is not a security archive, from `etcApt` (default `/etc/apt`).
 * Throws with what to do when there is none.
 */
export function readDebianMirror(etcApt = '/etc/apt'): { uri: string; signedBy: string } {
  const parts = join(etcApt, 'sources.list.d');
  const names = listIfThere(parts);
  const sources = [
    ...names
      .filter((name) => name.endsWith('.sources'))
      .flatMap((name) => parseDeb822Sources(readIfThere(join(parts, name)))),
    ...parseOneLineSources(readIfThere(join(etcApt, 'sources.list'))),
    ...names
      .filter((name) => name.endsWith('.list'))
      .flatMap((name) => parseOneLineSources(readIfThere(join(parts, name)))),
  ].filter(isMainArchive);
  const first = sources.find((source) => source.uri.includes('debian')) ?? sources[0];
  if (!first) {
    throw new Error(
      `No Debian package mirror is configured: ${etcApt}/sources.list and ${parts} name none. Add a line such as "deb MIRROR sid main" and try again.`,
    );
  }
  return { uri: first.uri, signedBy: first.signedBy ?? ARCHIVE_KEYRING };
}
