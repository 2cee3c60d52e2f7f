// Finds a process and its descendants in /proc by their parents' pids, and reads the status of one process.
import { GONE, isAbsence, listProc, readProcText, type Absence } from './proc-entry.ts';

interface ProcessRow {
  readonly pid: number;
  readonly parentPid: number;
}

export interface ProcessStatus {
  /** One letter: R, S, D, Z, T, t, X, I. */
  readonly state: string;
  readonly threadGroupId: number;
  readonly threadCount: number;
  readonly tracerPid: number;
  readonly anonymousBytes: number;
  readonly sharedMemoryBytes: number;
}

/**
 * The pids of `rootPid` and all its descendants, the root first, parents before children. A snapshot: processes may
 * start and end while it is taken. The root is listed even when it is not in the table.
 */
export function listDescendants(procRoot: string, rootPid: number): readonly number[] {
  const names = listProc(procRoot);
  const rows = isAbsence(names) ? [] : names.flatMap((name) => readRow(procRoot, name) ?? []);
  const children = Map.groupBy(rows, (row) => row.parentPid);
  const found = new Set([rootPid]);
  for (const pid of found) {
    for (const child of children.get(pid) ?? []) found.add(child.pid);
  }
  return [...found];
}

/** Ticks since boot at which the process started: with the pid it names one process for ever. */
export function readStartTime(procRoot: string, pid: number): string | Absence {
  const text = readProcText(`${procRoot}/${pid}/stat`);
  return isAbsence(text) ? text : (fieldsAfterName(text)[19] ?? GONE);
}

export function readStatus(procRoot: string, pid: number): ProcessStatus | Absence {
  const text = readProcText(`${procRoot}/${pid}/status`);
  if (isAbsence(text)) return text;
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(text)?.[1] ?? '';
  return {
    state: field('State'),
    threadGroupId: Number(field('Tgid')),
    threadCount: Number(field('Threads')),
    tracerPid: Number(field('TracerPid')),
    // In kB; a process that has ended has no such lines.
    anonymousBytes: (Number(field('RssAnon')) + Number(field('HugetlbPages'))) * 1024,
    sharedMemoryBytes: Number(field('RssShmem')) * 1024,
  };
}

function readRow(procRoot: string, name: string): ProcessRow | undefined {
  if (!/^[1-9]\d*$/.test(name)) return undefined;
  const text = readProcText(`${procRoot}/${name}/stat`);
  if (isAbsence(text)) return undefined;
  return { pid: Number(name), parentPid: Number(fieldsAfterName(text)[1]) };
}

// The name in parentheses may hold blanks, newlines and parentheses: only the last one ends it.
function fieldsAfterName(stat: string): readonly string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
