// Locks between processes of one machine, by files in a directory. A lock of a process that is gone is free; two takers at once never both get it.
//
// Each taker makes a file of its own, never used again, whose name says which process it is ("claim"). It has the lock when a listing made after that shows no claim of
// another living process. Of two takers, the one that lists last sees the other's claim, as each made its claim before it listed: so at most one gets through.
// Claims of dead processes are deleted by whoever meets them, which can hurt nobody, as no name comes twice: there is no take-over that could race.
// A second file marks the claim that has the lock, so that others know whether to give up at once or to settle who comes first (the lower name).
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as posix from 'node:path/posix';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockHeld, type StateLock } from '../../ports/state-store.ts';
import { errnoName } from '../errno.ts';

/** How long takers that meet settle among themselves, whatever the caller's patience. */
const SETTLE_MS = 1_000;
const SETTLE_POLL_MS = 2;
const HELD_POLL_MS = 50;

interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to its start: tells a pid that was given again. */
  readonly startTicks: string;
  readonly bootId: string;
}

interface Claim {
  readonly process: ProcessIdentity;
  readonly nonce: string;
  readonly held: boolean;
}

export interface LockDirectory {
  readonly directory: string;
  /** Where /proc is mounted. */
  readonly procRoot: string;
}

/** Takes the lock `name` (no `~` in it) or rejects with LockHeld after about `waitMs`. The directory must be there. */
export async function takeLock(place: LockDirectory, name: string, waitMs: number): Promise<StateLock> {
  const self = await identityOf(place, 'self');
  if (self === null) throw new Error(`cannot tell this process's start time from ${place.procRoot}`);
  const start = Date.now();
  for (;;) {
    const attempt = await tryLock(place, name, self);
    if (attempt.lock !== null) return attempt.lock;
    const patienceMs = attempt.settling ? Math.max(waitMs, SETTLE_MS) : waitMs;
    if (Date.now() - start >= patienceMs) throw new LockHeld(name, attempt.holder);
    const pollMs = attempt.settling ? SETTLE_POLL_MS : Math.min(HELD_POLL_MS, patienceMs);
    await sleep(pollMs * (0.5 + Math.random()));
  }
}

type Attempt =
  { readonly lock: StateLock } | { readonly lock: null; readonly holder: number; readonly settling: boolean };

async function tryLock(place: LockDirectory, name: string, self: ProcessIdentity): Promise<Attempt> {
  // Who sees a claim makes none, so that many who wait do not keep each other from settling.
  const living = await livingClaims(place, name, '');
  const inTheWay = living.find((claim) => claim.held) ?? living[0];
  if (inTheWay !== undefined) return { lock: null, holder: inTheWay.process.pid, settling: !inTheWay.held };

  const mine: Claim = { process: self, nonce: randomBytes(8).toString('hex'), held: false };
  const claimPath = posix.join(place.directory, fileName('claim', name, mine));
  const markPath = posix.join(place.directory, fileName('held', name, mine));
  await makeEmpty(claimPath);
  const release = async (): Promise<void> => {
    await fs.rm(markPath, { force: true });
    await fs.rm(claimPath, { force: true });
  };
  try {
    const blocker = await settle(place, name, mine);
    if (blocker !== null) {
      await release();
      return { lock: null, holder: blocker.process.pid, settling: !blocker.held };
    }
    await makeEmpty(markPath);
    return { lock: { release } };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Null when there is no other claim left; else the one that goes first. Waits a little for claims that have to give way to ours. */
async function settle(place: LockDirectory, name: string, mine: Claim): Promise<Claim | null> {
  const start = Date.now();
  for (;;) {
    const others = await livingClaims(place, name, mine.nonce);
    const [first] = others;
    if (first === undefined) return null;
    const ahead = others.find((other) => other.held) ?? others.find((other) => other.nonce < mine.nonce);
    if (ahead !== undefined) return ahead;
    if (Date.now() - start >= SETTLE_MS) return first;
    await sleep(SETTLE_POLL_MS);
  }
}

async function livingClaims(place: LockDirectory, name: string, ownNonce: string): Promise<readonly Claim[]> {
  const names = await fs.readdir(place.directory);
  const claims = claimsIn(names, name).filter((claim) => claim.nonce !== ownNonce);
  const living: Claim[] = [];
  for (const claim of claims) {
    if (await isAlive(place, claim.process)) living.push(claim);
    else await removeClaim(place, name, claim);
  }
  return living;
}

async function removeClaim(place: LockDirectory, name: string, claim: Claim): Promise<void> {
  for (const kind of ['held', 'claim'] as const)
    await fs.rm(posix.join(place.directory, fileName(kind, name, claim)), { force: true });
}

function claimsIn(fileNames: readonly string[], name: string): readonly Claim[] {
  const present = new Set(fileNames);
  return fileNames.flatMap((file) => {
    const [kind, lockName, pid = '', startTicks = '', bootId = '', nonce = ''] = file.split('~');
    if (kind !== 'claim' || lockName !== name || nonce === '') return [];
    const claim = { process: { pid: Number(pid), startTicks, bootId }, nonce, held: false };
    return [{ ...claim, held: present.has(fileName('held', name, claim)) }];
  });
}

function fileName(kind: 'claim' | 'held', name: string, claim: Claim): string {
  const { pid, startTicks, bootId } = claim.process;
  return [kind, name, pid.toString(), startTicks, bootId, claim.nonce].join('~');
}

async function makeEmpty(path: string): Promise<void> {
  await fs.writeFile(path, '', { flag: 'wx', mode: 0o600 });
}

async function isAlive(place: LockDirectory, process: ProcessIdentity): Promise<boolean> {
  const now = await identityOf(place, process.pid.toString());
  return now?.startTicks === process.startTicks && now.bootId === process.bootId;
}

/** Null when there is no such process, or only what is left of one that has ended (a zombie). */
async function identityOf(place: LockDirectory, pid: string): Promise<ProcessIdentity | null> {
  const bootId = (await fs.readFile(posix.join(place.procRoot, 'sys/kernel/random/boot_id'), 'utf8')).trim();
  try {
    const stat = await fs.readFile(posix.join(place.procRoot, pid, 'stat'), 'latin1');
    // "PID (NAME) STATE ...": the name may hold anything, so count from its last parenthesis; field 22 is the start time. proc_pid_stat(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = 'X'] = fields;
    const startTicks = fields[19];
    if (startTicks === undefined || ['Z', 'X'].includes(state)) return null;
    return { pid: Number.parseInt(stat, 10), startTicks, bootId };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoName(error) ?? '')) return null;
    throw error;
  }
}
