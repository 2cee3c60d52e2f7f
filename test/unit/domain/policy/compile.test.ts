import { describe, expect, test } from '@jest/globals';
import { parseCheckpointPolicy } from '../../../../src/api/checkpoint-policy.ts';
import {
  compilePolicy,
  isStillAllowed,
  type CompileResult,
  type CompileSettings,
} from '../../../../src/domain/policy/compile.ts';
import { aPlanPolicy, aPlanTarget, aPolicyDocument, aTarget } from '../../../builders/policies.ts';

const MI = 2 ** 20;
const SETTINGS: CompileSettings = {
  maxGhostLimit: 64 * MI,
  allowedCriuOptions: ['TcpEstablished', 'TcpClose', 'FileLocks'],
  namespaces: null,
  ownersKnown: false,
};

function compiled(document: unknown, changes: Partial<CompileSettings> = {}): CompileResult {
  const parsed = parseCheckpointPolicy(document);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return compilePolicy(parsed.policy, { ...SETTINGS, ...changes });
}

const withLimit = (ghostLimit: unknown): unknown => aPolicyDocument({ targets: [aTarget({ ghostLimit })] });

describe('compilePolicy', () => {
  test('every value in its final unit', () => {
    const document = aPolicyDocument(
      {
        mode: 'Audit',
        scope: 'Checkpoint',
        criuOptions: ['FileLocks'],
        targets: [
          aTarget({ name: 'a', containerNames: ['app'] }),
          aTarget({ name: 'b', ghostLimit: { auto: { maximum: '8Mi' } } }),
          aTarget({ name: 'c', ghostLimit: undefined }),
        ],
      },
      { namespace: 'shop', uid: 'u-1', generation: 7 },
    );
    expect(compiled(document)).toEqual({
      ok: true,
      policy: {
        namespace: 'shop',
        name: 'p',
        uid: 'u-1',
        generation: 7,
        mode: 'Audit',
        scope: 'Checkpoint',
        options: ['FileLocks'],
        targets: [
          { name: 'a', selector: {}, containerNames: ['app'], limitBytes: 3_145_728 },
          {
            name: 'b',
            selector: {},
            auto: { minimumBytes: 1_048_576, maximumBytes: 8_388_608, headroomPercent: 25 },
          },
          { name: 'c', selector: {} },
        ],
      },
    });
  });

  test('without a namespace: default; without a maximum: the cap', () => {
    expect(compiled(withLimit({ auto: {} }))).toMatchObject({
      ok: true,
      policy: { namespace: 'default', targets: [{ auto: { maximumBytes: 67_108_864 } }] },
    });
  });

  test.each<[string, CompileResult, string, string]>([
    [
      'a limit over the cap is refused, not lowered',
      compiled(withLimit({ fixed: '65Mi' })),
      'LimitOverCap',
      'spec.targets[0].ghostLimit.fixed: "65Mi" is over the cap 64Mi (setting maxGhostLimit): lower it, or have the cap raised',
    ],
    [
      'so is a maximum',
      compiled(withLimit({ auto: { maximum: '1Gi' } })),
      'LimitOverCap',
      'spec.targets[0].ghostLimit.auto.maximum: "1Gi" is over the cap 64Mi (setting maxGhostLimit): lower it, or have the cap raised',
    ],
    [
      'and a minimum',
      compiled(withLimit({ auto: { minimum: '65Mi' } })),
      'LimitOverCap',
      'spec.targets[0].ghostLimit.auto.minimum: "65Mi" is over the cap 64Mi (setting maxGhostLimit): lower it, or have the cap raised',
    ],
    [
      'an option that is not allowed',
      compiled(aPolicyDocument({ criuOptions: ['FileLocks', 'ShellJob'] })),
      'OptionNotAllowed',
      'spec.criuOptions[1]: "ShellJob" is not allowed: the setting allowedCriuOptions allows TcpEstablished, TcpClose, FileLocks; remove it, or have it allowed',
    ],
    [
      'any option by default',
      compiled(aPolicyDocument({ criuOptions: ['FileLocks'] }), { allowedCriuOptions: [] }),
      'OptionNotAllowed',
      'spec.criuOptions[0]: "FileLocks" is not allowed: the setting allowedCriuOptions allows none; remove it, or have it allowed',
    ],
    [
      'opposites in one policy',
      compiled(aPolicyDocument({ criuOptions: ['TcpClose', 'TcpEstablished'] })),
      'InvalidPolicy',
      'spec.criuOptions: "TcpEstablished" and "TcpClose" exclude each other: keep one of them',
    ],
    [
      'a namespace that is not served',
      compiled(aPolicyDocument({}, { namespace: 'x' }), { namespaces: ['a', 'b'] }),
      'NamespaceNotAllowed',
      'metadata.namespace: "x" is not among the served namespaces (a, b): use one of them, or add it to the setting namespaces',
    ],
    [
      'a workloadRef without Kubernetes',
      compiled(
        aPolicyDocument({
          targets: [aTarget({ selector: undefined, workloadRef: { kind: 'Deployment', name: 'web' } })],
        }),
      ),
      'InvalidPolicy',
      'spec.targets[0].workloadRef: "Deployment/web" needs Kubernetes: use `selector` on a host without it',
    ],
  ])('%s', (_sentence, result, reason, message) => {
    expect(result).toEqual({ ok: false, refusal: { reason, message } });
  });
});

describe('isStillAllowed: a plan of earlier settings under those of now', () => {
  const auto = (maximumBytes: number) =>
    aPlanPolicy({
      targets: [
        aPlanTarget(),
        { name: 'b', selector: {}, auto: { minimumBytes: MI, maximumBytes, headroomPercent: 25 } },
      ],
    });
  test.each([
    ['under the cap', aPlanPolicy(), {}, true],
    ['exactly the cap', aPlanPolicy(), { maxGhostLimit: 3 * MI }, true],
    ['over a lowered cap', aPlanPolicy(), { maxGhostLimit: 3 * MI - 1 }, false],
    ['a maximum over a lowered cap', auto(8 * MI), { maxGhostLimit: 4 * MI }, false],
    [
      'an option that is no longer allowed',
      aPlanPolicy({ options: ['FileLocks'] }),
      { allowedCriuOptions: [] },
      false,
    ],
    ['a namespace that is no longer served', aPlanPolicy(), { namespaces: ['shop'] }, false],
  ])('%s', (_sentence, policy, changes, expected) => {
    expect(isStillAllowed(policy, { ...SETTINGS, ...changes })).toBe(expected);
  });
});

describe('a schedule', () => {
  const document = (checkpoint: unknown): unknown => aPolicyDocument({ checkpoint });
  const schedules = { minimumIntervalSeconds: 300, isTimeZone: (name: string) => name === 'Etc/UTC' };

  test('that may be used is no part of the plan', () => {
    const result = compiled(document({ schedule: '*/5 * * * *', timeZone: 'Etc/UTC' }), { schedules });
    expect(result).toEqual(compiled(aPolicyDocument(), { schedules }));
  });

  test.each<[string, unknown, string]>([
    ['more often than the setting', { schedule: '* * * * *' }, 'ScheduleTooFrequent'],
    ['of no such hour', { schedule: '0 24 * * *' }, 'ScheduleInvalid'],
    ['in no such time zone', { schedule: '0 2 * * *', timeZone: 'Mars/Phobos' }, 'ScheduleInvalid'],
  ])('%s is refused', (_, checkpoint, reason) => {
    expect(compiled(document(checkpoint), { schedules })).toMatchObject({ ok: false, refusal: { reason } });
  });

  test('is not judged where none are served', () => {
    expect(compiled(document({ schedule: '* * * * *' })).ok).toBe(true);
  });
});
