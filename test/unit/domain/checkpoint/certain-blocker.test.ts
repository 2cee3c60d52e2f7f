import { describe, expect, test } from '@jest/globals';
import { DUMP_REASONS } from '../../../../src/api/dump-reasons.ts';
import type { CriuOptionName } from '../../../../src/api/criu-option.ts';
import { certainBlocker } from '../../../../src/domain/checkpoint/certain-blocker.ts';

const NOTHING: ReadonlySet<CriuOptionName> = new Set();
const clean = { linkRemapRequired: false, blockers: [] };

describe('what the dump would fail on for sure', () => {
  test.each(['IoUring', 'NestedNamespace'])('%s', (code) => {
    const message = 'process 17 has it';
    expect(certainBlocker({ ...clean, blockers: [{ code, message }] }, NOTHING)).toEqual({
      reason: code,
      message,
    });
  });

  test('a lost name, without link-remap', () => {
    expect(certainBlocker({ ...clean, linkRemapRequired: true }, NOTHING)?.reason).toBe('LinkRemapRequired');
  });
});

describe('what may well work', () => {
  test.each(
    Object.keys(DUMP_REASONS)
      .filter((code) => code !== 'IoUring' && code !== 'NestedNamespace')
      .concat('ScanTruncated', 'toString'),
  )('%s', (code) => {
    expect(certainBlocker({ ...clean, blockers: [{ code, message: 'x' }] }, NOTHING)).toBeNull();
  });

  test('nothing found', () => {
    expect(certainBlocker(clean, NOTHING)).toBeNull();
  });

  test.each([
    ['with link-remap in force', new Set<CriuOptionName>(['LinkRemap'])],
    ['where nobody knows what is in force', null],
  ])('a lost name %s', (_sentence, inForce) => {
    expect(certainBlocker({ ...clean, linkRemapRequired: true }, inForce)).toBeNull();
  });
});
