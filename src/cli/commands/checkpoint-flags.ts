// The flags of `ghostlimit checkpoint` that stand for fields of a CheckpointRequest.
import { InvalidArgumentError, Option } from 'commander';
import { SKIPPABLE_CHECKS, type OnGhostLimit, type SkippableCheck } from '../../api/checkpoint-request.ts';

/** As commander gives them: absent when not set. */
export interface RequestFlags {
  readonly onGhostLimit?: OnGhostLimit;
  readonly skipChecks?: readonly SkippableCheck[];
}

export function onGhostLimitOption(): Option {
  return new Option(
    '--on-ghost-limit <what>',
    'a ghost file over the limit: RaiseOnce raises the limit for this dump, within the maximum of the matching auto target, and tries once more; Fail does not (default: RaiseOnce where an auto target matches)',
  ).choices(['RaiseOnce', 'Fail'] satisfies OnGhostLimit[]);
}

export function skipChecksOption(): Option {
  return new Option(
    '--skip-checks <names>',
    `estimates not to go by, with commas between: ${SKIPPABLE_CHECKS.join(', ')} (default: none)`,
  ).argParser(parseChecks);
}

/** The field is a set: each name once. */
function parseChecks(text: string, earlier: readonly SkippableCheck[] = []): readonly SkippableCheck[] {
  const checks = text.split(',').map((name) => {
    const check = SKIPPABLE_CHECKS.find((known) => known === name.trim());
    if (check === undefined) throw new InvalidArgumentError(`must be one of ${SKIPPABLE_CHECKS.join(', ')}`);
    return check;
  });
  return [...new Set([...earlier, ...checks])];
}
