// Gathers what one process holds: descriptors, mappings, its exe, cwd and root, and the signs of its status. Never judges.
import type {
  FileObservation,
  NamespaceKind,
  ProcessObservation,
  ThreadObservation,
} from '../../api/process-tree.ts';
import { NAMESPACE_KINDS } from '../../api/process-tree.ts';
import { parseMemoryMap, type MappedFile, type MemoryMap } from './memory-map.ts';
import { decodePath } from './path-bytes.ts';
import { mayNotAnswer, observeFile, type HeldFile, type ProcessView } from './observe-file.ts';
import { isAbsence, listProc, readProcLink, readProcText, REFUSED, statThroughLink } from './proc-entry.ts';
import type { ProcessStatus } from './process-table.ts';

/** A file whose state must be asked of a file system that may not answer. */
export interface PendingFile {
  readonly text: string;
  /** Asks, which may wait for ever, and adds what is found to the process's files. */
  readonly finish: () => void;
}

export interface GatheredProcess {
  readonly process: ProcessObservation;
  readonly pending: readonly PendingFile[];
}

/** Mapped files that stand under their own names, by namespace, device, inode and path: most processes of a container map the same. */
export type OrdinaryFiles = Set<string>;

export interface ProcessSource {
  readonly pid: number;
  readonly status: ProcessStatus;
  readonly namespaces: ProcessObservation['namespaces'];
  readonly view: ProcessView;
}

/** Gathers one process. `ordinary` is read and added to, so that a file which many processes map is looked at once. */
export function gatherProcess(source: ProcessSource, ordinary: OrdinaryFiles): GatheredProcess {
  const { pid, status, view } = source;
  const refused = new Set<string>();
  const files: FileObservation[] = [];
  const pending: PendingFile[] = [];
  const look = (held: HeldFile): FileObservation | undefined => {
    const found = observeFile(view, held);
    if (found) files.push(found);
    return found;
  };
  const lookOrPut = (held: HeldFile): FileObservation | undefined => {
    if (!mayNotAnswer(view, held.text)) return look(held);
    pending.push({ text: held.text, finish: () => void look(held) });
    return undefined;
  };
  const descriptors = gatherDescriptors(view.directory, refused);
  descriptors.held.forEach(lookOrPut);
  gatherLinks(view.directory, refused).forEach(lookOrPut);
  const map = gatherMap(view.directory, refused);
  for (const mapped of map.files) lookAtMapped(mapped, source, ordinary, lookOrPut);
  return {
    process: {
      pid,
      state: status.state,
      threadCount: status.threadCount,
      tracerPid: status.tracerPid,
      anonymousBytes: status.anonymousBytes,
      sharedMemoryBytes: status.sharedMemoryBytes,
      namespaces: source.namespaces,
      files,
      anonymousInodes: descriptors.anonymousInodes,
      firstExecutableMapping: map.firstExecutable,
      hasUprobes: map.hasUprobes,
      threadsApart: status.threadCount > 1 ? gatherThreadsApart(view.directory, pid) : [],
      unreadable: [...refused],
    },
    pending,
  };
}

/** Link texts of the process's namespaces; refused or unknown kinds are left out. */
export function readNamespaces(directory: string): ProcessObservation['namespaces'] {
  const namespaces: Partial<Record<NamespaceKind, string>> = {};
  for (const kind of NAMESPACE_KINDS) {
    const text = readProcLink(`${directory}/ns/${kind}`);
    if (!isAbsence(text)) namespaces[kind] = text;
  }
  return namespaces;
}

interface Descriptors {
  readonly held: readonly HeldFile[];
  readonly anonymousInodes: readonly string[];
}

function gatherDescriptors(directory: string, refused: Set<string>): Descriptors {
  const names = listProc(`${directory}/fd`);
  if (isAbsence(names)) {
    if (names === REFUSED) refused.add('fd');
    return { held: [], anonymousInodes: [] };
  }
  const held: HeldFile[] = [];
  const anonymousInodes = new Set<string>();
  for (const name of names) {
    const link = `${directory}/fd/${name}`;
    const text = readProcLink(link);
    if (isAbsence(text)) {
      if (text === REFUSED) refused.add('fd');
    } else if (text.startsWith('/'))
      held.push({ hold: 'Fd', text, links: [link], references: 1, descriptor: name });
    else if (text.startsWith('anon_inode:')) anonymousInodes.add(text);
  }
  return { held, anonymousInodes: [...anonymousInodes] };
}

function gatherLinks(directory: string, refused: Set<string>): readonly HeldFile[] {
  const links = [
    { hold: 'Exe', name: 'exe' },
    { hold: 'Cwd', name: 'cwd' },
    { hold: 'Root', name: 'root' },
  ] as const;
  return links.flatMap(({ hold, name }) => {
    const link = `${directory}/${name}`;
    const text = readProcLink(link);
    if (text === REFUSED) refused.add(name);
    return !isAbsence(text) && text.startsWith('/') ? [{ hold, text, links: [link], references: 1 }] : [];
  });
}

function gatherMap(directory: string, refused: Set<string>): MemoryMap {
  const text = readProcText(`${directory}/maps`);
  if (!isAbsence(text)) return parseMemoryMap(text);
  if (text === REFUSED) refused.add('maps');
  return { files: [], firstExecutable: undefined, hasUprobes: false };
}

function lookAtMapped(
  mapped: MappedFile,
  { namespaces, view }: ProcessSource,
  ordinary: OrdinaryFiles,
  look: (held: HeldFile) => FileObservation | undefined,
): void {
  const isMarked = mapped.text.endsWith(' (deleted)');
  const key = `${namespaces.mnt ?? view.directory} ${mapped.device} ${mapped.inode} ${mapped.text}`;
  if (ordinary.has(key)) return;
  const links = mapped.entries.map((entry) => `${view.directory}/map_files/${entry}`);
  const held: HeldFile = {
    hold: 'Map',
    text: readMappedText(mapped, links),
    links,
    references: links.length,
    device: mapped.device,
  };
  if (look(held) === undefined && !isMarked) ordinary.add(key);
}

// maps escapes newlines and nothing else, so a name with the four characters \012 reads the same: the link tells them apart.
function readMappedText(mapped: MappedFile, links: readonly string[]): string {
  if (/[\\\x80-\xff]/.test(mapped.text)) {
    for (const link of links) {
      const text = readProcLink(link);
      if (!isAbsence(text) && text.startsWith('/')) return text;
    }
  }
  return decodePath(Buffer.from(mapped.text, 'latin1'));
}

/**
 * Threads that left the leader's descriptor table (unshare(CLONE_FILES)), told by another number of descriptors: two
 * tables that happen to hold the same number are not found. Since Linux 6.2 the number is the size of the directory.
 */
function gatherThreadsApart(directory: string, pid: number): readonly ThreadObservation[] {
  const threads = listProc(`${directory}/task`);
  if (isAbsence(threads)) return [];
  return threads
    .filter((thread) => thread !== String(pid))
    .filter((thread) => hasOtherDescriptors(directory, thread))
    .map((thread) => ({
      threadId: Number(thread),
      deletedPaths: listDeletedPaths(`${directory}/task/${thread}`),
    }));
}

function hasOtherDescriptors(directory: string, thread: string): boolean {
  // Descriptors come and go between two looks: only a difference that stays counts.
  for (let attempt = 0; attempt < 3; attempt++) {
    const leader = countDescriptors(directory);
    const count = countDescriptors(`${directory}/task/${thread}`);
    if (leader === undefined || count === undefined || leader === count) return false;
  }
  return true;
}

function countDescriptors(directory: string): number | undefined {
  const stats = statThroughLink(`${directory}/fd`);
  if (isAbsence(stats)) return undefined;
  if (stats.size > 0n) return Number(stats.size);
  const names = listProc(`${directory}/fd`);
  return isAbsence(names) ? undefined : names.length;
}

function listDeletedPaths(directory: string): readonly string[] {
  const names = listProc(`${directory}/fd`);
  if (isAbsence(names)) return [];
  return names
    .map((name) => readProcLink(`${directory}/fd/${name}`))
    .filter((text) => !isAbsence(text))
    .filter((text) => text.startsWith('/') && text.endsWith(' (deleted)'))
    .map((text) => text.slice(0, -' (deleted)'.length));
}
