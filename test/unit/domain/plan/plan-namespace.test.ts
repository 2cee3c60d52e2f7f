import { describe, expect, test } from '@jest/globals';
import { parseCheckpointPolicy } from '../../../../src/api/checkpoint-policy.ts';
import {
  NAMESPACE_PLAN_BYTES,
  planNamespace,
  type PlanContext,
  type PolicyCandidate,
} from '../../../../src/domain/plan/plan-namespace.ts';
import { aPlanPolicy, aPlanTarget, aPolicyDocument, aTarget } from '../../../builders/policies.ts';

const MI = 2 ** 20;

function aCandidate(
  name: string,
  spec: Record<string, unknown> = {},
  changes: Partial<PolicyCandidate> & { readonly generation?: number } = {},
): PolicyCandidate {
  const { generation = 1, ...rest } = changes;
  const metadata = { name, namespace: 'shop', uid: `uid-${name}`, generation };
  return {
    namespace: 'shop',
    name,
    uid: `uid-${name}`,
    createdAt: '2026-01-01T00:00:00Z',
    parsed: parseCheckpointPolicy(aPolicyDocument(spec, metadata)),
    ...rest,
  };
}

const context = (changes: Partial<PlanContext> = {}): PlanContext => ({
  settings: { maxGhostLimit: 64 * MI, allowedCriuOptions: [], namespaces: null, ownersKnown: true },
  earlier: [],
  learned: new Map(),
  ...changes,
});

const limitOf = (fixed: string): Record<string, unknown> => ({
  targets: [aTarget({ ghostLimit: { fixed } })],
});

describe('planNamespace', () => {
  test('hands valid policies on, by name, whatever their age', () => {
    const older = { createdAt: '2025-01-01T00:00:00Z' };
    const { policies, verdicts } = planNamespace(
      [aCandidate('a'), aCandidate('b', limitOf('8Mi'), older)],
      context(),
    );
    expect(policies.map(({ name, targets }) => [name, targets[0]?.limitBytes])).toEqual([
      ['a', 3 * MI],
      ['b', 8 * MI],
    ]);
    expect(verdicts.get('uid-a')).toMatchObject({
      accepted: true,
      reason: 'Accepted',
      message: '1 target handed to the nodes',
    });
  });

  test('a policy over the cap is refused; its last good state stays', () => {
    const earlier = [aPlanPolicy({ namespace: 'shop', name: 'a', uid: 'uid-a', generation: 1 })];
    const { policies, verdicts } = planNamespace(
      [aCandidate('a', limitOf('128Mi'), { generation: 2 })],
      context({ earlier }),
    );
    expect(policies).toEqual(earlier);
    expect(verdicts.get('uid-a')).toMatchObject({
      accepted: false,
      reason: 'LimitOverCap',
      message:
        'spec.targets[0].ghostLimit.fixed: "128Mi" is over the cap 64Mi (setting maxGhostLimit): lower it, or have the cap raised (generation 1 stays in force)',
    });
  });

  test('its last good state goes with the setting that allowed it', () => {
    const earlier = [
      aPlanPolicy({
        namespace: 'shop',
        name: 'a',
        uid: 'uid-a',
        targets: [aPlanTarget({ limitBytes: 100 * MI })],
      }),
    ];
    const { policies } = planNamespace([aCandidate('a', limitOf('128Mi'))], context({ earlier }));
    expect(policies).toEqual([]);
  });

  test('another policy of the same name takes over nothing', () => {
    const earlier = [aPlanPolicy({ namespace: 'shop', name: 'a', uid: 'uid-of-one-deleted' })];
    const { policies } = planNamespace([aCandidate('a', limitOf('128Mi'))], context({ earlier }));
    expect(policies).toEqual([]);
  });

  test('what is no policy any more is told with its field', () => {
    const { verdicts } = planNamespace([aCandidate('a', { mode: 'Off' })], context());
    expect(verdicts.get('uid-a')).toMatchObject({ accepted: false, reason: 'InvalidPolicy' });
    expect(verdicts.get('uid-a')?.message).toContain('spec.mode');
  });

  test('learned limits go to auto targets only, inside their bounds', () => {
    const auto = { auto: { minimum: '1Mi', maximum: '8Mi' } };
    const targets = [aTarget({ name: 'auto', ghostLimit: auto }), aTarget({ name: 'fixed' })];
    const learned = new Map([
      ['shop/a/auto', 32 * MI],
      ['shop/a/fixed', 32 * MI],
    ]);
    const { policies } = planNamespace([aCandidate('a', { targets })], context({ learned }));
    expect(policies[0]?.targets).toEqual([
      {
        name: 'auto',
        selector: {},
        auto: {
          minimumBytes: MI,
          maximumBytes: 8 * MI,
          headroomPercent: 25,
          learnedLimitBytes: 8 * MI,
        },
      },
      { name: 'fixed', selector: {}, limitBytes: 3 * MI },
    ]);
  });

  test('a namespace has 32 KiB: the oldest policies have them, a smaller later one still fits', () => {
    const wide = {
      targets: Array.from({ length: 60 }, (_, index) =>
        aTarget({
          name: `t${index.toString()}`,
          selector: { matchLabels: { app: 'x'.repeat(63), tier: 'y'.repeat(63), zone: 'z'.repeat(63) } },
        }),
      ),
    };
    const { policies, verdicts } = planNamespace(
      [
        aCandidate('young', wide, { createdAt: '2026-03-01T00:00:00Z' }),
        aCandidate('old', wide, { createdAt: '2026-01-01T00:00:00Z' }),
        aCandidate('small', {}, { createdAt: '2026-04-01T00:00:00Z' }),
      ],
      context(),
    );
    expect(policies.map(({ name }) => name)).toEqual(['old', 'small']);
    expect(JSON.stringify(policies).length).toBeLessThanOrEqual(NAMESPACE_PLAN_BYTES + 3);
    expect(verdicts.get('uid-young')).toMatchObject({ accepted: false, reason: 'PlanFull', planned: null });
  });
});
