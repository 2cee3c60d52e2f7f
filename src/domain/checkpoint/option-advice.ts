// What to change when a dump failed for want of a CRIU option: which policy, and why an option that was asked for was not in force. Pure.
import type { FileReport } from '../../api/checkpoint-node.ts';
import type { PlanPolicy } from '../../api/checkpoint-plan.ts';
import type { CriuOptionName } from '../../api/criu-option.ts';
import { CRIU_FILE_PATHS } from '../../api/names.ts';
import type { ReasonCode } from '../../api/reasons.ts';
import { linesFor, overruledRemark } from '../criu-conf/file-chain.ts';
import { matchingContainers } from '../policy/match-workload.ts';
import { combineOptions, type MatchedContainer } from '../policy/resolve.ts';

/** Any one of the options does. */
const REMEDIES: Partial<Record<ReasonCode, readonly CriuOptionName[]>> = {
  TcpEstablished: ['TcpEstablished', 'TcpClose'],
  TcpInFlight: ['TcpSkipInFlight'],
  FileLocks: ['FileLocks'],
  LinkRemapRequired: ['LinkRemap'],
  ExternalUnixSocket: ['ExtUnixSockets'],
  ShellJob: ['ShellJob'],
};

export interface OptionQuestion {
  readonly policies: readonly PlanPolicy[];
  readonly subject: MatchedContainer;
  /** The file with the last word for the container. */
  readonly file: Pick<FileReport, 'path' | 'message'>;
  /** What CRIU reads; null: not known. */
  readonly inForce: ReadonlySet<CriuOptionName> | null;
}

/** A sentence to follow the remedy of the registry; null: no option would help, or one is in force already. */
export function optionAdvice(reason: ReasonCode, question: OptionQuestion): string | null {
  const remedies = REMEDIES[reason];
  if (remedies === undefined || remedies.some((option) => question.inForce?.has(option) === true))
    return null;
  const matching = policiesOf(question);
  const asking = matching.filter(({ options }) => options.some((option) => remedies.includes(option)));
  if (asking.length > 0) return whyNotInForce(remedies, asking, question);
  const [policy] = matching;
  if (policy === undefined) return null;
  return `Add ${remedies.join(' or ')} to criuOptions of ${nameOf(policy)}; the setting allowedCriuOptions has to name it.`;
}

/** Options of the container's policies that exclude each other, in a sentence; null: none do. */
export function optionConflict(policies: readonly PlanPolicy[], subject: MatchedContainer): string | null {
  const matching = policiesOf({ policies, subject });
  const [pair] = combineOptions(matching.map(({ options }) => options)).conflicts;
  if (pair === undefined) return null;
  const asking = matching.filter(({ options }) => options.some((option) => pair.includes(option)));
  return `${pair.join(' and ')} exclude each other and are both asked for, by ${asking.map(nameOf).join(' and ')}: neither was in force`;
}

function policiesOf({ policies, subject }: Pick<OptionQuestion, 'policies' | 'subject'>): PlanPolicy[] {
  return policies.filter(
    ({ mode, namespace, targets }) =>
      mode === 'Enforce' &&
      targets.some((target) =>
        matchingContainers(target, namespace, subject.workload).includes(subject.container),
      ),
  );
}

function whyNotInForce(
  remedies: readonly CriuOptionName[],
  asking: readonly PlanPolicy[],
  { policies, subject, file }: OptionQuestion,
): string {
  const conflict = optionConflict(policies, subject);
  if (conflict !== null) return `${conflict}.`;
  const asked = remedies.filter((option) => asking.some(({ options }) => options.includes(option)));
  const { overruled } = linesFor('default.conf', { ghostLimitBytes: null, options: asked });
  if (file.path === CRIU_FILE_PATHS['default.conf'] && overruled.length === asked.length)
    return `${overruledRemark(overruled).message}.`;
  return `${asked.join(', ')} is asked for by ${asking.map(nameOf).join(' and ')}, but ${file.path} does not say so${file.message === undefined || file.message === '' ? '' : `: ${file.message}`}.`;
}

function nameOf({ namespace, name }: PlanPolicy): string {
  return `CheckpointPolicy ${namespace}/${name}`;
}
