// What scans found, by container, and when each container is due for the next one. In memory: scans are cheap and a restart scans anew.
import type { PlanPolicy } from '../api/checkpoint-plan.ts';
import { targetKey, type GhostObservation, type ResolvedPolicy } from '../domain/policy/resolve.ts';
import type { GhostScan } from '../ports/ghost-scanner.ts';

/** After a container was first seen, milliseconds: libraries are unpacked lazily, so one look at the start is not enough. */
export const FIRST_SCANS_MS: readonly number[] = [0, 5_000, 30_000];
export const SCAN_PERIOD_MS = 300_000;

interface Watched {
  /** A container that was started anew keeps its id, not its pid. */
  readonly pid: number;
  readonly firstSeenAt: number;
  readonly scans: number;
  readonly lastScanAt: number;
}

export interface Observations {
  readonly byContainer: ReadonlyMap<string, GhostObservation>;
  /** By targetKey: the largest requirement seen since the start, bytes. */
  readonly peaks: ReadonlyMap<string, number>;
  /** Ids among `running` (id → pid) that are due at `now`; forgets containers that are gone or were started anew. */
  due(running: ReadonlyMap<string, number>, now: number): readonly string[];
  /** Milliseconds until some container is due; null: none is watched. */
  untilNextMs(now: number): number | null;
  /** Takes a scan in; true when it changes what limits would be. */
  record(containerId: string, scan: GhostScan, now: number): boolean;
  /** A scan that failed counts as done: it is tried again at the next due time. What was known stays, with `why` it is not sure any more; true when that is news. */
  skip(containerId: string, why: string, now: number): boolean;
  /** Lifts the peaks of every auto target to what its containers hold; true when one rose. */
  liftPeaks(policies: readonly ResolvedPolicy[]): boolean;
}

export function createObservations(): Observations {
  const watched = new Map<string, Watched>();
  const byContainer = new Map<string, GhostObservation>();
  const peaks = new Map<string, number>();
  const done = (id: string, now: number): void => {
    const before = watched.get(id);
    if (before !== undefined) watched.set(id, { ...before, scans: before.scans + 1, lastScanAt: now });
  };
  return {
    byContainer,
    peaks,
    due: (running, now) => {
      for (const [id, { pid }] of watched) {
        if (running.get(id) === pid) continue;
        watched.delete(id);
        byContainer.delete(id);
      }
      for (const [id, pid] of running)
        if (!watched.has(id)) watched.set(id, { pid, firstSeenAt: now, scans: 0, lastScanAt: now });
      return [...watched].filter(([, entry]) => dueAt(entry) <= now).map(([id]) => id);
    },
    untilNextMs: (now) => {
      if (watched.size === 0) return null;
      return Math.max(0, Math.min(...[...watched.values()].map((entry) => dueAt(entry))) - now);
    },
    record: (id, scan, now) => {
      done(id, now);
      const before = byContainer.get(id);
      byContainer.set(id, observationOf(scan));
      const after = byContainer.get(id);
      return before?.requiredBytes !== after?.requiredBytes || before?.blindness !== after?.blindness;
    },
    skip: (id, why, now) => {
      done(id, now);
      const before = byContainer.get(id) ?? { requiredBytes: 0, largest: null, blindness: null };
      byContainer.set(id, { ...before, blindness: why });
      return before.blindness !== why;
    },
    liftPeaks: (policies) =>
      policies.map(({ policy, targets }) => liftTargets(policy, targets, peaks)).includes(true),
  };
}

function dueAt(entry: Watched): number {
  const first = FIRST_SCANS_MS[entry.scans];
  return first === undefined ? entry.lastScanAt + SCAN_PERIOD_MS : entry.firstSeenAt + first;
}

/** Warnings that say: there may be more than was seen. */
const BLIND_WARNINGS: ReadonlySet<string> = new Set(['ProcessUnreadable', 'ScanTruncated', 'SizeUnknown']);

export function observationOf(scan: GhostScan): GhostObservation {
  let largest: GhostObservation['largest'] = null;
  for (const { path, remap, sizeBytes, allocatedBytes } of scan.files) {
    const bytes = Math.max(sizeBytes, allocatedBytes);
    if (remap !== 'LinkRemap' && bytes > (largest?.bytes ?? -1)) largest = { path, bytes };
  }
  const blind = scan.warnings.find(({ code }) => BLIND_WARNINGS.has(code));
  return { requiredBytes: scan.requiredGhostLimitBytes, largest, blindness: blind?.message ?? null };
}

function liftTargets(
  policy: PlanPolicy,
  targets: ResolvedPolicy['targets'],
  peaks: Map<string, number>,
): boolean {
  let rose = false;
  for (const { name, requiredBytes } of targets) {
    const key = targetKey(policy, name);
    if (requiredBytes <= (peaks.get(key) ?? 0)) continue;
    peaks.set(key, requiredBytes);
    rose = true;
  }
  return rose;
}
