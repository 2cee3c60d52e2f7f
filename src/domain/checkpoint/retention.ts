// Decides which archives of a node go: what policies keep, and what the node bears above them. Pure; it deletes nothing and knows no files.
import type { PlanRetention } from '../../api/checkpoint-plan.ts';
import { printQuantity } from '../../api/quantity.ts';

export interface KeptArchive {
  readonly path: string;
  /** The file system that it lies on. */
  readonly device: number;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** It stays, and counts. */
  readonly pinned: boolean;
  /** Others' archives are of no policy, and go only where the settings say so. */
  readonly ours: boolean;
  /** "namespace/name" of the policy whose schedule made it; null: a request of its own. */
  readonly policy: string | null;
  /** null: the archive does not say. */
  readonly podUID: string | null;
  readonly containerName: string | null;
  /** The pod runs on this node; true also where nobody knows. */
  readonly podHere: boolean;
}

export interface Space {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface NodeBounds {
  readonly maxTotalSizeBytes: number;
  /** 0 to 99. */
  readonly minFreePercent: number;
  /** By device; for one that is not in it, minFreePercent asks nothing. */
  readonly spaces: ReadonlyMap<number, Space>;
  /** Others' archives: `keep` neither counts nor deletes them. */
  readonly others: 'keep' | 'manage';
}

export interface RetentionQuestion {
  readonly archives: readonly KeptArchive[];
  /** By "namespace/name". A policy that is not in it sets no bound. */
  readonly policies: ReadonlyMap<string, PlanRetention>;
  readonly node: NodeBounds;
  readonly nowMs: number;
}

export interface Expired {
  readonly archive: KeptArchive;
  /** Why it goes, for people. */
  readonly reason: string;
}

/**
 * The archives to delete, in the order in which to delete them. While the pod is here, the newest `keepLast` of each of its containers stay, and they are safe from age;
 * once it is gone only age counts. Sizes count for every archive, oldest first. A pinned archive takes its place in every count and never goes. Above the policies are the
 * node's bounds, which reach the newest archive of a living container last. An archive whose policy is unknown goes by the node's bounds only.
 */
export function archivesToDelete({ archives, policies, node, nowMs }: RetentionQuestion): Expired[] {
  const counted = archives
    .filter(({ ours }) => ours || node.others === 'manage')
    .sort((one, other) => one.createdMs - other.createdMs || (one.path < other.path ? -1 : 1));
  const expired = new Map<KeptArchive, string>();
  const newest = rankOf(counted);
  for (const [policy, retention] of policies)
    expireByPolicy(
      counted.filter((archive) => archive.ours && archive.policy === policy),
      { policy, retention, nowMs },
      expired,
    );
  expireByNode(counted, newest, node, expired);
  return [...expired].map(([archive, reason]) => ({ archive, reason }));
}

/** 0 is the newest of its container. */
type Ranks = ReadonlyMap<KeptArchive, number>;

/** `archives` from old to new. */
function rankOf(archives: readonly KeptArchive[]): Ranks {
  const ranks = new Map<KeptArchive, number>();
  const seen = new Map<string, number>();
  for (const archive of archives.toReversed()) {
    const container = JSON.stringify([archive.podUID, archive.containerName]);
    const rank = seen.get(container) ?? 0;
    ranks.set(archive, rank);
    seen.set(container, rank + 1);
  }
  return ranks;
}

type Reasons = Map<KeptArchive, string>;

interface OnePolicy {
  readonly policy: string;
  readonly retention: PlanRetention;
  readonly nowMs: number;
}

/** `archives` are those of the policy, from old to new. */
function expireByPolicy(archives: readonly KeptArchive[], one: OnePolicy, expired: Reasons): void {
  const ranks = rankOf(archives);
  for (const archive of archives) {
    const reason = archive.pinned ? null : reasonOfPolicy(archive, ranks.get(archive) ?? 0, one);
    if (reason !== null) expired.set(archive, reason);
  }
  const { maxTotalSizeBytes } = one.retention;
  if (maxTotalSizeBytes === undefined) return;
  const reason = `the archives of policy ${one.policy} take more than maxTotalSize ${printQuantity(maxTotalSizeBytes)}`;
  shrink(archives, sizeOfAll(archives, expired) - maxTotalSizeBytes, reason, expired);
}

function reasonOfPolicy(
  { podHere, createdMs }: KeptArchive,
  rank: number,
  { policy, retention, nowMs }: OnePolicy,
): string | null {
  const { keepLast, maxAgeSeconds } = retention;
  if (podHere && keepLast !== undefined)
    return rank < keepLast ? null : `policy ${policy} keeps the last ${keepLast} of the container`;
  if (maxAgeSeconds === undefined || nowMs - createdMs <= maxAgeSeconds * 1000) return null;
  return `it is older than maxAgeSeconds ${maxAgeSeconds} of policy ${policy}`;
}

/** `archives` from old to new. */
function expireByNode(
  archives: readonly KeptArchive[],
  ranks: Ranks,
  { maxTotalSizeBytes, minFreePercent, spaces }: NodeBounds,
  expired: Reasons,
): void {
  const isLast = (archive: KeptArchive): boolean =>
    archive.podHere && archive.podUID !== null && ranks.get(archive) === 0;
  const lastOnes = archives.filter(isLast);
  const order = [...archives.filter((archive) => !isLast(archive)), ...lastOnes];
  const tooMuch = sizeOfAll(archives, expired) - maxTotalSizeBytes;
  const sizeReason = `the archives of the node take more than archives.maxTotalSize ${printQuantity(maxTotalSizeBytes)}`;
  shrink(order, tooMuch, sizeReason, expired);
  for (const [device, { freeBytes, totalBytes }] of spaces) {
    const there = order.filter((archive) => archive.device === device);
    const wanted = Math.ceil((totalBytes * minFreePercent) / 100);
    const freed = there.reduce((sum, archive) => sum + (expired.has(archive) ? archive.sizeBytes : 0), 0);
    const spaceReason = `less than archives.minFreePercent ${minFreePercent} % of its file system is free`;
    shrink(there, wanted - freeBytes - freed, spaceReason, expired);
  }
}

/** Lets archives go in their order until `bytes` have. */
function shrink(order: readonly KeptArchive[], bytes: number, reason: string, expired: Reasons): void {
  let left = bytes;
  for (const archive of order) {
    if (left <= 0) return;
    // An empty one would give nothing.
    if (archive.pinned || archive.sizeBytes === 0 || expired.has(archive)) continue;
    expired.set(archive, reason);
    left -= archive.sizeBytes;
  }
}

function sizeOfAll(archives: readonly KeptArchive[], expired: Reasons): number {
  return archives.reduce((sum, archive) => sum + (expired.has(archive) ? 0 : archive.sizeBytes), 0);
}
