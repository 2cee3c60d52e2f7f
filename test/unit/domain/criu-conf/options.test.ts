import { describe, expect, test } from '@jest/globals';
import { FINDING_CODES } from '../../../../src/domain/criu-conf/finding-codes.ts';
import { CRIU_OPTIONS, optionForLetter, optionNamed } from '../../../../src/domain/criu-conf/options.ts';

describe('the option table', () => {
  test('names each option once', () => {
    expect(new Set(CRIU_OPTIONS.map(({ name }) => name)).size).toBe(CRIU_OPTIONS.length);
  });

  test('has as many options as long_opts[] of CRIU 4.2.1 (58 and 27 pairs, counted there)', () => {
    expect(CRIU_OPTIONS.length).toBe(112);
  });

  test('has an option behind each letter of "dSsRt:hD:o:v::x::Vr:jJ:lW:L:M:", of the same kind', () => {
    const kinds = 'dSsRthDovxVrjJlWLM'.replace(
      /./g,
      (letter) =>
        `${letter}${{ boolean: '', required: ':', optional: '::' }[optionForLetter(letter)?.kind ?? 'boolean']}`,
    );
    expect(kinds).toBe('dSsRt:hD:o:v::x::Vr:jJ:lW:L:M:');
    expect(optionForLetter('Q')).toBeNull();
    expect(optionForLetter('constructor')).toBeNull();
  });

  test('knows names exactly', () => {
    expect(optionNamed('ghost-limit')?.kind).toBe('required');
    expect(optionNamed('ghost')).toBeNull();
  });
});

describe('the table of remarks', () => {
  test.each(Object.entries(FINDING_CODES))(
    '%s has a sentence and a remedy',
    (_code, { sentence, remedy }) => {
      expect(sentence).toMatch(/^[A-Z].{20,180}\.$/);
      expect(remedy).toMatch(/^[A-Z].{10,140}\.$/);
    },
  );
});
