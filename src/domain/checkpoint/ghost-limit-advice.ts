// How big the limit must be for one dump, and which policy, or which file and line, to change for it. Pure.
import type { FileReport } from '../../api/checkpoint-node.ts';
import type { PlanPolicy, PlanTarget } from '../../api/checkpoint-plan.ts';
import { printQuantity } from '../../api/quantity.ts';
import { matchingContainers } from '../policy/match-workload.ts';
import type { MatchedContainer } from '../policy/resolve.ts';
import { ghostLimitHint } from './classify-failure.ts';

interface ScannedFile {
  readonly path: string;
  readonly remap: 'Ghost' | 'LinkRemap' | 'LinkRemapThenGhost';
  readonly sizeBytes: number;
  readonly allocatedBytes: number;
}

/**
 * The file that CRIU of this version would refuse first, and the smallest limit that lets all pass; null: no ghost file.
 * CRIU 3.18 and later compare st_blocks * 512, earlier ones st_size (measured: facts of CRIU 3.17.1 and 4.2.1); an unknown version counts as a recent one,
 * as the smaller demand refuses less. Files that need link-remap first are left to the dump.
 */
export function dumpRequirement(
  scan: { readonly files: readonly ScannedFile[] },
  criuVersion: string | null,
): { readonly file: ScannedFile; readonly bytes: number } | null {
  let largest: { file: ScannedFile; bytes: number } | null = null;
  for (const file of scan.files) {
    const bytes = comparesBlocks(criuVersion) ? file.allocatedBytes : file.sizeBytes;
    if (file.remap === 'Ghost' && bytes > (largest?.bytes ?? 0)) largest = { file, bytes };
  }
  return largest;
}

function comparesBlocks(criuVersion: string | null): boolean {
  const match = /^(\d+)\.(\d+)/.exec(criuVersion ?? '');
  if (match === null) return true;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > 3 || (major === 3 && minor >= 18);
}

/** One or two sentences on what to change so that `requiredBytes` pass: the policy where one matches, else the line of the file that sets the limit now. */
export function ghostLimitAdvice(
  requiredBytes: number,
  file: Pick<FileReport, 'path' | 'limitLine' | 'message'>,
  policies: readonly PlanPolicy[],
  subject: MatchedContainer,
): string {
  const matching = policies.flatMap((policy) =>
    policy.targets
      .filter((target) =>
        matchingContainers(target, policy.namespace, subject.workload).includes(subject.container),
      )
      .map((target) => ({ policy, target })),
  );
  const best = bestOf(matching.filter(({ policy }) => policy.mode === 'Enforce')) ?? bestOf(matching);
  if (best === null) return ghostLimitHint({ requiredBytes, file: file.path, line: file.limitLine ?? null });
  const isEnough = mostBytes(best.target) >= requiredBytes;
  if (isEnough && best.policy.mode === 'Enforce')
    return `${nameOf(best)} allows it, but the file does not say so: ${file.message ?? file.path}`;
  const steps = [
    ...(isEnough ? [] : [raiseAdvice(best, requiredBytes)]),
    ...(best.policy.mode === 'Audit' ? ['set mode of its policy to Enforce'] : []),
  ];
  return isEnough ? `${nameOf(best)} would allow it: ${steps.join()}` : steps.join(', and ');
}

interface MatchingTarget {
  readonly policy: PlanPolicy;
  readonly target: PlanTarget;
}

function bestOf(matching: readonly MatchingTarget[]): MatchingTarget | null {
  return matching.toSorted((one, other) => mostBytes(other.target) - mostBytes(one.target))[0] ?? null;
}

function raiseAdvice(best: MatchingTarget, requiredBytes: number): string {
  const verb = mostBytes(best.target) === 0 ? 'set' : 'raise';
  const field = best.target.auto === undefined ? 'ghostLimit.fixed' : 'ghostLimit.auto.maximum';
  return `${verb} ${field} of ${nameOf(best)} to at least ${requiredBytes.toString()} (${printQuantity(requiredBytes)})`;
}

/** The highest limit that the target can ask for; 0: it asks for none. */
function mostBytes({ limitBytes, auto }: PlanTarget): number {
  return limitBytes ?? auto?.maximumBytes ?? 0;
}

function nameOf({ policy, target }: MatchingTarget): string {
  return `target ${target.name} of CheckpointPolicy ${policy.namespace}/${policy.name}`;
}
