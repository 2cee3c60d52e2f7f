// The policies that a checkpoint goes by: those named by the user, else those that an agent or `apply` last found good on this host.
import type { PlanPolicy } from '../api/checkpoint-plan.ts';
import { printable } from '../api/printable.ts';
import type { PlanSource } from '../ports/plan-source.ts';
import type { NodeDocuments } from './documents.ts';
import { firstOfEach } from './folder-plan-source.ts';

export interface KnownPolicies {
  readonly policies: readonly PlanPolicy[];
  /** What a user who named policies must hear. */
  readonly problems: readonly string[];
}

export async function readKnownPolicies(
  named: PlanSource | null,
  documents: NodeDocuments,
): Promise<KnownPolicies> {
  if (named === null) {
    const lastGood = (await documents.lastGoodPlan.read()) ?? {};
    return { policies: firstOfEach(Object.entries(lastGood)).policies, problems: [] };
  }
  const { policies, problems } = await named.read();
  return {
    policies,
    problems: problems.map(({ origin, message }) => `${printable(origin, 253)}: ${message}`),
  };
}
