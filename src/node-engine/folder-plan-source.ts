// Policies from a folder, compiled here: the PlanSource of a host without a cluster. A file that turned invalid keeps its last good state in force.
import { parseCheckpointPolicy } from '../api/checkpoint-policy.ts';
import { printFieldProblem } from '../api/field-problem.ts';
import type { PlanPolicy } from '../api/checkpoint-plan.ts';
import { printable } from '../api/printable.ts';
import { compilePolicy, isStillAllowed, type CompileSettings } from '../domain/policy/compile.ts';
import type { PlanProblem, PlanSnapshot, PlanSource } from '../ports/plan-source.ts';
import type { PolicyFile, PolicyFolder } from '../ports/policy-folder.ts';
import type { Document, LastGoodPlan } from './documents.ts';

export function createFolderPlanSource(
  folder: PolicyFolder,
  settings: CompileSettings,
  lastGood: Document<LastGoodPlan>,
): PlanSource {
  return {
    read: async () => {
      const files = await folder.read();
      const before = (await lastGood.read()) ?? {};
      const result = combinePolicyFiles(files, before, settings);
      if (JSON.stringify(result.lastGood) !== JSON.stringify(before)) await lastGood.write(result.lastGood);
      return { policies: result.policies, problems: result.problems };
    },
    watch: (onChange, signal) => {
      folder.watch(onChange, signal);
    },
  };
}

export interface CombinedPolicies extends PlanSnapshot {
  readonly lastGood: LastGoodPlan;
}

/**
 * Pure: files as they are now + what they compiled to when last valid → policies in force. A file is taken as a whole; what was good last counts only as far
 * as the settings of now allow it, so that a lowered cap is not got round by a file that it makes invalid.
 */
export function combinePolicyFiles(
  files: readonly PolicyFile[],
  before: LastGoodPlan,
  settings: CompileSettings,
): CombinedPolicies {
  const problems: PlanProblem[] = [];
  const lastGood: [string, PlanPolicy[]][] = [];
  for (const file of files) {
    const compiled = compileFile(file, settings);
    const isGood = compiled.problems.length === 0;
    const kept = isGood ? compiled.policies : lastGoodOf(file.name, before, settings);
    problems.push(
      ...compiled.problems.map((problem) => ({
        ...problem,
        origin: file.name,
        lastGoodInForce: kept.length > 0,
      })),
    );
    if (isGood || kept.length > 0) lastGood.push([file.name, kept]);
  }
  const { policies, problems: doubles } = firstOfEach(lastGood);
  return { policies, problems: [...problems, ...doubles], lastGood: Object.fromEntries(lastGood) };
}

/** The policies of all files; of those with the same namespace and name only the first counts. */
export function firstOfEach(files: readonly (readonly [string, readonly PlanPolicy[]])[]): PlanSnapshot {
  const found = new Map<string, { readonly policy: PlanPolicy; readonly origin: string }>();
  const problems: PlanProblem[] = [];
  for (const [origin, policies] of files) {
    for (const policy of policies) {
      const key = `${policy.namespace}/${policy.name}`;
      const first = found.get(key);
      if (first === undefined) {
        found.set(key, { policy, origin });
        continue;
      }
      const message = `metadata.name: "${key}" is already defined in ${printable(first.origin, 253)}: the one there counts; give this one another name`;
      problems.push({ origin, reason: 'InvalidPolicy', message, lastGoodInForce: false });
    }
  }
  return { policies: [...found.values()].map(({ policy }) => policy), problems };
}

function lastGoodOf(name: string, before: LastGoodPlan, settings: CompileSettings): PlanPolicy[] {
  const known = Object.hasOwn(before, name) ? (before[name] ?? []) : [];
  return known.filter((policy) => isStillAllowed(policy, settings));
}

interface CompiledFile {
  readonly policies: PlanPolicy[];
  readonly problems: Pick<PlanProblem, 'reason' | 'message'>[];
}

function compileFile({ content }: PolicyFile, settings: CompileSettings): CompiledFile {
  if ('problem' in content)
    return { policies: [], problems: [{ reason: 'InvalidPolicy', message: content.problem }] };
  const compiled: CompiledFile = { policies: [], problems: [] };
  for (const document of content.documents.flatMap(itemsOf)) compileDocument(document, settings, compiled);
  return compiled;
}

function compileDocument(document: unknown, settings: CompileSettings, into: CompiledFile): void {
  const parsed = parseCheckpointPolicy(document);
  if (!parsed.ok) {
    for (const problem of parsed.problems)
      into.problems.push({ reason: 'InvalidPolicy', message: printFieldProblem(problem) });
    return;
  }
  const compiled = compilePolicy(parsed.policy, settings);
  if (compiled.ok) into.policies.push(compiled.policy);
  else into.problems.push(compiled.refusal);
}

/** `kubectl get -o yaml` of several objects is one List. */
function itemsOf(document: unknown): unknown[] {
  if (typeof document === 'object' && document !== null && 'kind' in document && document.kind === 'List') {
    return 'items' in document && Array.isArray(document.items) ? document.items : [];
  }
  return [document];
}
