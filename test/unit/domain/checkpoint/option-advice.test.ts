import { describe, expect, test } from '@jest/globals';
import type { PlanPolicy } from '../../../../src/api/checkpoint-plan.ts';
import type { CriuOptionName } from '../../../../src/api/criu-option.ts';
import { optionAdvice, optionConflict } from '../../../../src/domain/checkpoint/option-advice.ts';
import type { MatchedContainer } from '../../../../src/domain/policy/resolve.ts';

const container = { name: 'app', kind: 'Regular' as const, id: 'c1', pid: 17 };
const SUBJECT: MatchedContainer = {
  workload: {
    namespace: 'shop',
    podName: 'web',
    labels: { app: 'web' },
    owner: null,
    containers: [container],
  },
  container,
};
const FILE = { path: '/etc/criu/runc.conf' };

function aPolicy(
  name: string,
  options: readonly CriuOptionName[],
  changes: Partial<PlanPolicy> = {},
): PlanPolicy {
  return {
    ...{ namespace: 'shop', name, uid: name, generation: 1, mode: 'Enforce', scope: 'Checkpoint', options },
    targets: [{ name: 'app', selector: { matchLabels: { app: 'web' } } }],
    ...changes,
  };
}

const ask = (
  policies: readonly PlanPolicy[],
  changes: Partial<Parameters<typeof optionAdvice>[1]> = {},
  reason: Parameters<typeof optionAdvice>[0] = 'TcpEstablished',
): string | null =>
  optionAdvice(reason, { policies, subject: SUBJECT, file: FILE, inForce: new Set(), ...changes });

describe('what to change', () => {
  test.each([
    ['TcpEstablished', 'TcpEstablished or TcpClose'],
    ['TcpInFlight', 'TcpSkipInFlight'],
    ['FileLocks', 'FileLocks'],
    ['LinkRemapRequired', 'LinkRemap'],
    ['ExternalUnixSocket', 'ExtUnixSockets'],
    ['ShellJob', 'ShellJob'],
  ] as const)('%s: %s, in the policy that means the container', (reason, options) => {
    expect(ask([aPolicy('limits', [])], {}, reason)).toBe(
      `Add ${options} to criuOptions of CheckpointPolicy shop/limits; the setting allowedCriuOptions has to name it.`,
    );
  });

  test('asked for, and all the same not in force: what the file says', () => {
    const file = { ...FILE, message: 'cannot write /etc/criu/runc.conf: EROFS' };
    expect(ask([aPolicy('tcp', ['TcpClose'])], { file })).toBe(
      'TcpClose is asked for by CheckpointPolicy shop/tcp, but /etc/criu/runc.conf does not say so: cannot write /etc/criu/runc.conf: EROFS.',
    );
    expect(ask([aPolicy('tcp', ['TcpClose'])])).toBe(
      'TcpClose is asked for by CheckpointPolicy shop/tcp, but /etc/criu/runc.conf does not say so.',
    );
  });

  test('asked for where an old crun overrules it', () => {
    const file = { path: '/etc/criu/default.conf' };
    expect(ask([aPolicy('tcp', ['TcpEstablished'])], { file })).toBe(
      'TcpEstablished: crun sets this itself in each dump, which overrules default.conf, the only file that it reads here.',
    );
    expect(ask([aPolicy('tcp', ['TcpClose'])], { file })).toContain('does not say so');
  });

  test('opposites: both policies', () => {
    expect(ask([aPolicy('keep', ['TcpEstablished']), aPolicy('drop', ['TcpClose'], { scope: 'Node' })])).toBe(
      'TcpEstablished and TcpClose exclude each other and are both asked for, by CheckpointPolicy shop/keep and CheckpointPolicy shop/drop: neither was in force.',
    );
  });
});

describe('nothing to add to the remedy', () => {
  test('no policy means the container', () => {
    expect(ask([aPolicy('other', [], { namespace: 'else' })])).toBeNull();
  });
  test('only one that writes nothing', () => {
    expect(ask([aPolicy('audit', ['TcpClose'], { mode: 'Audit' })])).toBeNull();
  });
  test('no option helps', () => {
    expect(ask([aPolicy('limits', [])], {}, 'IoUring')).toBeNull();
  });
  test('an option that should help is in force', () => {
    expect(ask([aPolicy('tcp', ['TcpClose'])], { inForce: new Set(['TcpClose'] as const) })).toBeNull();
  });
});

describe('a conflict', () => {
  test('is none where only an audited policy asks for the opposite', () => {
    const policies = [aPolicy('keep', ['TcpEstablished']), aPolicy('drop', ['TcpClose'], { mode: 'Audit' })];
    expect(optionConflict(policies, SUBJECT)).toBeNull();
  });
  test('is none where the opposite is for others', () => {
    const policies = [
      aPolicy('keep', ['TcpEstablished']),
      aPolicy('drop', ['TcpClose'], { namespace: 'else' }),
    ];
    expect(optionConflict(policies, SUBJECT)).toBeNull();
  });
});
