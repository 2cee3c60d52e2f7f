// Finds the init process of containers by their ids in /proc, for runtimes that do not tell pids. Reads files that need no right and changes nothing.
import { readFile, readdir } from 'node:fs/promises';
import * as posix from 'node:path/posix';
import type { Clock } from '../../ports/clock.ts';
import { processStart } from './process-identity.ts';

export interface ContainerProcesses {
  /** The pid of the init process of each container that has one; the others are left out. Looks through all processes only for containers that it does not know yet. */
  initPids(ids: readonly string[]): Promise<ReadonlyMap<string, number>>;
}

interface Known {
  readonly pid: number;
  readonly start: string;
}

interface Candidate {
  readonly pid: number;
  readonly parentPid: number;
  readonly startTicks: number;
}

/** A container that was not found has ended; it is looked for again after so long all the same, milliseconds. */
const MISSED_MS = 60_000;
/** Processes that are read at a time. */
const BATCH = 64;

/** `procRoot`: a /proc of the host's pid namespace. */
export function createContainerProcesses(
  procRoot: string,
  clock: Pick<Clock, 'monotonicMs'>,
): ContainerProcesses {
  let known = new Map<string, Known>();
  let missedAtMs = new Map<string, number>();
  const isMissed = (id: string): boolean => {
    const atMs = missedAtMs.get(id);
    return atMs !== undefined && clock.monotonicMs() - atMs < MISSED_MS;
  };
  return {
    initPids: async (ids) => {
      const living = new Map<string, Known>();
      for (const id of ids) {
        const entry = known.get(id);
        if (entry !== undefined && (await processStart(procRoot, entry.pid)) === entry.start)
          living.set(id, entry);
      }
      missedAtMs = new Map([...missedAtMs].filter(([id]) => ids.includes(id) && isMissed(id)));
      const unknown = new Set(ids.filter((id) => !living.has(id) && !missedAtMs.has(id)));
      if (unknown.size > 0) {
        for (const [id, entry] of await findInits(procRoot, unknown)) living.set(id, entry);
        for (const id of unknown) if (!living.has(id)) missedAtMs.set(id, clock.monotonicMs());
      }
      known = living;
      return new Map([...living].map(([id, { pid }]) => [id, pid]));
    },
  };
}

async function findInits(procRoot: string, ids: ReadonlySet<string>): Promise<ReadonlyMap<string, Known>> {
  const members = await membersOf(procRoot, ids);
  const inits = new Map<string, Known>();
  for (const [id, candidates] of members) {
    const pids = new Set(candidates.map(({ pid }) => pid));
    // Its parent, the shim, is outside. So is that of what `exec` started, but later.
    const [init] = candidates
      .filter(({ parentPid }) => !pids.has(parentPid))
      .sort((one, other) => one.startTicks - other.startTicks || one.pid - other.pid);
    if (init !== undefined) inits.set(id, { pid: init.pid, start: init.startTicks.toString() });
  }
  return inits;
}

async function membersOf(
  procRoot: string,
  ids: ReadonlySet<string>,
): Promise<ReadonlyMap<string, Candidate[]>> {
  const members = new Map<string, Candidate[]>();
  const names = (await readdir(procRoot)).filter((name) => /^\d+$/.test(name));
  for (let first = 0; first < names.length; first += BATCH) {
    const batch = names.slice(first, first + BATCH);
    const found = await Promise.all(batch.map((name) => memberOf(procRoot, name, ids)));
    for (const member of found) {
      if (member === null) continue;
      members.set(member.id, [...(members.get(member.id) ?? []), member.candidate]);
    }
  }
  return members;
}

async function memberOf(
  procRoot: string,
  name: string,
  ids: ReadonlySet<string>,
): Promise<{ readonly id: string; readonly candidate: Candidate } | null> {
  try {
    const id = containerOf(await readFile(posix.join(procRoot, name, 'cgroup'), 'utf8'), ids);
    if (id === null) return null;
    const stat = await readFile(posix.join(procRoot, name, 'stat'), 'latin1');
    // The name in parentheses may hold blanks and parentheses: fields are counted from its end. proc_pid_stat(5).
    const [state = 'X', parentPid, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (['Z', 'X'].includes(state)) return null;
    const candidate = { pid: Number(name), parentPid: Number(parentPid), startTicks: Number(rest[17]) };
    return { id, candidate };
  } catch {
    // It has ended meanwhile.
    return null;
  }
}

/**
 * Which of the containers the text of /proc/PID/cgroup speaks of; null: none. The outermost one: a container may run containers of its own. Seen from another
 * cgroup namespace the paths begin with "/..", which changes nothing here.
 */
export function containerOf(cgroups: string, ids: ReadonlySet<string>): string | null {
  for (const line of cgroups.split('\n')) {
    // "4:freezer:/kubepods/...", of cgroup v2 "0::/kubepods.slice/...". A name of a hierarchy has no colon, a path may.
    const path = /^\d+:[^:]*:(.*)$/.exec(line)?.[1] ?? '';
    for (const segment of path.split('/')) {
      const id = containerIdIn(segment);
      if (id !== null && ids.has(id)) return id;
    }
  }
  return null;
}

/**
 * The container that a directory of a cgroup hierarchy belongs to; null: none. "ID" (driver cgroupfs), "cri-containerd-ID.scope" or "crio-ID.scope" (systemd),
 * "kubepods-....slice:cri-containerd:ID" (the first of a runtime that expects the second). The helper of CRI-O beside it, crio-conmon-ID.scope, is none of it.
 */
export function containerIdIn(segment: string): string | null {
  if (segment.includes('conmon-')) return null;
  return /(?:^|[-:])([0-9a-f]{64})(?:\.scope)?$/.exec(segment)?.[1] ?? null;
}
