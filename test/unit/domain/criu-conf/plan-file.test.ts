// What is done with a CRIU file, judged with CRIU's real grammar: ours are added, kept and taken back, and foreign lines are never changed or fought.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CRIU_OPTION_LINES, CRIU_OPTION_NAMES } from '../../../../src/api/criu-option.ts';
import { judgeCriuConf } from '../../../../src/domain/criu-conf/judge.ts';
import {
  splitManagedBlock,
  withManagedBlock,
  type BlockContent,
} from '../../../../src/domain/criu-conf/managed-block.ts';
import {
  noteOrigin,
  planFile,
  type FileOrigin,
  type FilePlan,
  type FilePlanInput,
} from '../../../../src/domain/criu-conf/plan-file.ts';

const MIB = 1_048_576n;
const PATH = '/etc/criu/runc.conf';
const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const text = (content: Uint8Array): string => Buffer.from(content).toString('latin1');

type Desired = FilePlanInput['desired'];
const nothing: Desired = { ghostLimitBytes: null, options: [] };
const limit = (ghostLimitBytes: bigint): Desired => ({ ghostLimitBytes, options: [] });
const options = (...names: Desired['options']): Desired => ({ ghostLimitBytes: null, options: names });

const madeByUs: FileOrigin = { hadFile: false, hadDirectory: false };
const theirs: FileOrigin = { hadFile: true, hadDirectory: true };

function plan(file: string | null, desired: Desired, more: Partial<FilePlanInput> = {}): FilePlan {
  return planFile({
    path: PATH,
    content: file === null ? null : bytes(file),
    directoryPresent: true,
    desired,
    judge: judgeCriuConf,
    origin: theirs,
    ...more,
  });
}

/** The file with our block as withManagedBlock puts it. */
const managed = (foreign: string, content: BlockContent): string =>
  text(withManagedBlock(bytes(foreign), content));

/** What is in the file once the plan is carried out; null: no file. */
function after(file: string | null, { action }: FilePlan): string | null {
  if (action.kind === 'Remove') return null;
  return action.kind === 'Write' ? text(action.content) : file;
}

describe('what is written', () => {
  const cases: readonly (readonly [
    name: string,
    file: string | null,
    desired: Desired,
    expected: string | null,
    state: Partial<FilePlan>,
  ])[] = [
    [
      'no file, nothing asked',
      null,
      nothing,
      null,
      { state: 'InSync', managed: false, effectiveLimitBytes: MIB },
    ],
    [
      'no file',
      null,
      limit(3n * MIB),
      managed('', limit(3n * MIB)),
      { state: 'InSync', managed: true, effectiveLimitBytes: 3n * MIB },
    ],
    [
      'no file, options only',
      null,
      options('TcpClose'),
      managed('', options('TcpClose')),
      { state: 'InSync', effectiveLimitBytes: MIB },
    ],
    ['no file, CRIU’s default is enough', null, limit(MIB), null, { state: 'InSync', managed: false }],
    [
      'foreign lines without a limit',
      'tcp-close\n',
      limit(3n * MIB),
      managed('tcp-close\n', limit(3n * MIB)),
      { state: 'InSync' },
    ],
    [
      'a foreign limit that is lower',
      'ghost-limit 2M\n',
      limit(3n * MIB),
      managed('ghost-limit 2M\n', limit(3n * MIB)),
      { state: 'InSync', effectiveLimitBytes: 3n * MIB },
    ],
    [
      'a foreign limit that is equal',
      'ghost-limit 3M\n',
      limit(3n * MIB),
      'ghost-limit 3M\n',
      { state: 'ForeignLimitSuffices', line: 1, managed: false },
    ],
    [
      'a foreign limit that is higher',
      'ghost-limit 8M\n',
      limit(3n * MIB),
      'ghost-limit 8M\n',
      { state: 'ForeignLimitSuffices', effectiveLimitBytes: 8n * MIB },
    ],
    [
      'a foreign limit in bytes by a lower case suffix',
      'ghost-limit 8m\n',
      limit(MIB),
      managed('ghost-limit 8m\n', limit(MIB)),
      { state: 'InSync', effectiveLimitBytes: MIB },
    ],
    [
      'a foreign limit that suffices, options do not',
      'ghost-limit 8M\n',
      { ghostLimitBytes: MIB, options: ['LinkRemap'] },
      managed('ghost-limit 8M\n', options('LinkRemap')),
      { state: 'ForeignLimitSuffices', line: 1, managed: true },
    ],
    [
      'an option that is on already',
      'link-remap\n',
      options('LinkRemap'),
      'link-remap\n',
      { state: 'InSync', managed: false },
    ],
    [
      'an option that is on by its short name',
      'link-r\n',
      options('LinkRemap'),
      'link-r\n',
      { managed: false },
    ],
    [
      'an option that is off',
      'no-link-remap\n',
      options('LinkRemap'),
      managed('no-link-remap\n', options('LinkRemap')),
      { state: 'InSync' },
    ],
    [
      'our block says it',
      managed('a b\n'.replace('a b', 'tcp-close'), limit(3n * MIB)),
      limit(3n * MIB),
      managed('tcp-close\n', limit(3n * MIB)),
      { state: 'InSync', action: { kind: 'Leave' } },
    ],
    [
      'our block says another limit',
      managed('tcp-close\n', limit(5n * MIB)),
      limit(3n * MIB),
      managed('tcp-close\n', limit(3n * MIB)),
      { state: 'InSync' },
    ],
    [
      'our block, nothing asked',
      managed('tcp-close', limit(5n * MIB)),
      nothing,
      'tcp-close',
      { state: 'InSync', managed: false, effectiveLimitBytes: MIB },
    ],
    [
      'our block, and a foreign limit has come that suffices',
      `${managed('', limit(3n * MIB))}ghost-limit 8M\n`,
      limit(3n * MIB),
      'ghost-limit 8M\n',
      { state: 'ForeignLimitSuffices', line: 1, managed: false },
    ],
    [
      'a file of comments',
      '# mine',
      limit(3n * MIB),
      managed('# mine', limit(3n * MIB)),
      { state: 'InSync' },
    ],
    ['an empty file that was there', '', limit(3n * MIB), managed('', limit(3n * MIB)), { state: 'InSync' }],
    ['our block in an empty file that was there, nothing asked', managed('', limit(MIB)), nothing, '', {}],
  ];
  test.each(cases)('%s', (_name, file, ...[desired, expected, state]) => {
    const planned = plan(file, desired);
    expect(after(file, planned)).toBe(expected);
    expect(planned).toMatchObject(state);
    expect(plan(expected, desired).action.kind).toBe('Leave');
  });

  test('a limit of an earlier file counts where this file sets none', () => {
    const inherited = { inheritedLimitBytes: 8n * MIB };
    expect(plan('tcp-close\n', limit(3n * MIB), inherited)).toMatchObject({
      action: { kind: 'Leave' },
      state: 'InSync',
      effectiveLimitBytes: 8n * MIB,
    });
    expect(after('', plan('', limit(9n * MIB), inherited))).toBe(managed('', limit(9n * MIB)));
    // A foreign limit here hides the earlier file's.
    expect(after('ghost-limit 2M\n', plan('ghost-limit 2M\n', limit(3n * MIB), inherited))).toBe(
      managed('ghost-limit 2M\n', limit(3n * MIB)),
    );
    expect(plan(null, limit(MIB), { inheritedLimitBytes: 4096n }).action.kind).toBe('Write');
  });
});

describe('foreign lines after our block', () => {
  const block = managed('', limit(3n * MIB));

  test('that change the limit are reported and left', () => {
    expect(plan(`tcp-close\n${block}# why\nghost-limit 2M\n`, limit(3n * MIB))).toMatchObject({
      action: { kind: 'Leave' },
      state: 'OverriddenByForeignLine',
      line: 7,
      effectiveLimitBytes: 2n * MIB,
      managed: true,
    });
  });

  test('stay after it, and win, when the block changes', () => {
    const planned = plan(`${block}ghost-limit 2M\n`, limit(5n * MIB));
    expect(after(null, planned)).toBe(`${managed('', limit(5n * MIB))}ghost-limit 2M\n`);
    expect(planned).toMatchObject({ state: 'OverriddenByForeignLine', line: 5 });
  });

  test('that turn an option off are reported', () => {
    const file = `${managed('', options('TcpClose'))}no-tcp-close\n`;
    expect(plan(file, options('TcpClose'))).toMatchObject({
      action: { kind: 'Leave' },
      state: 'OverriddenByForeignLine',
      line: 5,
    });
  });

  test('that change nothing of ours do not matter', () => {
    expect(plan(`${block}tcp-close\n`, limit(3n * MIB))).toMatchObject({
      action: { kind: 'Leave' },
      state: 'InSync',
    });
  });

  test('never keep an option in force that nobody asks for any more', () => {
    const file = `${managed('', { ghostLimitBytes: 3n * MIB, options: ['TcpClose'] })}ghost-limit 2M\n`;
    expect(after(file, plan(file, limit(3n * MIB)))).toBe(`${block}ghost-limit 2M\n`);
  });
});

describe('a file that CRIU refuses', () => {
  test.each([
    ['an unknown option', 'tcp-close\n[section]\n', 2],
    ['blanks round =', 'ghost-limit = 3145728\n', 1],
    ['an argument missing at the end', 'tcp-close\nghost-limit\n', 2],
    ['an argument missing at the end, no newline', 'ghost-limit', 1],
  ])('%s: nothing is written', (_name, file, line) => {
    expect(plan(file, limit(3n * MIB))).toMatchObject({
      action: { kind: 'Leave' },
      state: 'ForeignLineInvalid',
      line,
      effectiveLimitBytes: 0n,
    });
  });

  test('the message names the line and what CRIU says', () => {
    expect(plan('tcp-close\n[section]\n', limit(MIB)).message).toMatch(
      /^\/etc\/criu\/runc\.conf line 2: .*section/,
    );
  });

  test('because of a line after our block: the line is counted in the whole file', () => {
    const file = `tcp-close\n${managed('', limit(3n * MIB))}[section]\n`;
    expect(plan(file, limit(5n * MIB))).toMatchObject({
      action: { kind: 'Leave' },
      state: 'ForeignLineInvalid',
      line: 6,
    });
  });

  test('our block goes all the same when nobody asks for it', () => {
    const file = `${managed('', limit(3n * MIB))}[section]\n`;
    expect(after(file, plan(file, nothing))).toBe('[section]\n');
  });

  const established = managed('tcp-close\n', options('TcpEstablished'));
  const limited = managed('tcp-close\n', limit(3n * MIB));
  test.each([
    [
      'our block was made CRLF',
      established.replaceAll(/\n(?=.)/g, '\r\n').replace('tcp-close\r', 'tcp-close'),
      options('TcpEstablished'),
      established,
    ],
    ['our block was cut off', limited.replace(/mit 3145728\n# END.*\n/s, ''), limit(3n * MIB), limited],
  ])('because %s: the block is repaired', (_name, ...[file, desired, expected]) => {
    expect(judgeCriuConf(bytes(file)).verdict).toBe('Refused');
    const planned = plan(file, desired);
    expect(after(file, planned)).toBe(expected);
    expect(planned.state).toBe('InSync');
  });

  test('because of an edit in our block: the edited line is theirs, so it is reported', () => {
    const file = managed('tcp-close\n', limit(3n * MIB)).replace(
      '\nghost-limit 3145728',
      '\nghost-limit = 3145728',
    );
    expect(plan(file, limit(3n * MIB))).toMatchObject({
      action: { kind: 'Leave' },
      state: 'ForeignLineInvalid',
      line: 4,
    });
  });
});

describe('foreign lines that keep ours from taking effect', () => {
  test.each([
    ['blanks at the end, read as the value of the line above', 'tcp-close\nghost-limit\n   ', 2],
    ['the end of options', 'tcp-close\n \0\nfile-locks\n', 2],
    ['the end of options, and a refused line that CRIU never reads', ' \0\n[section]\n', 1],
  ])('%s', (_name, file, line) => {
    expect(judgeCriuConf(bytes(file)).verdict).toBe('Accepted');
    const planned = plan(file, limit(3n * MIB));
    expect(planned).toMatchObject({ action: { kind: 'Leave' }, state: 'ForeignLineInvalid', line });
    expect(planned.message).toBe(
      `/etc/criu/runc.conf line ${line} keeps lines after it from taking effect, so ours are not written.`,
    );
  });

  test('blanks at the end that CRIU reads as "--" become a blank line and come back', () => {
    const file = 'tcp-close\n   ';
    const planned = plan(file, limit(3n * MIB));
    expect(planned).toMatchObject({ state: 'InSync', effectiveLimitBytes: 3n * MIB });
    expect(after(null, plan(after(file, planned), nothing))).toBe(file);
  });
});

describe('a damaged block', () => {
  const wanted: Desired = { ghostLimitBytes: 3n * MIB, options: ['TcpEstablished'] };
  const whole = managed('tcp-close\n', wanted);

  test.each([
    [
      'its limit edited: the edited line stays, above ours',
      whole.replace('\nghost-limit 3145728', '\nghost-limit 2097152'),
      managed('tcp-close\nghost-limit 2097152\n', wanted),
    ],
    [
      'a line added between ours',
      whole.replace('\ntcp-established', '\nfile-locks\ntcp-established'),
      managed('tcp-close\nfile-locks\n', wanted),
    ],
    [
      'a line added after ours, before END',
      whole.replace('\n# END', '\nfile-locks\n# END'),
      `${whole}file-locks\n`,
    ],
    ['copied', `${whole}file-locks\n${managed('', wanted)}`, managed('tcp-close\nfile-locks\n', wanted)],
    ['moved to the front', `${managed('', wanted)}tcp-close\n`, `${managed('', wanted)}tcp-close\n`],
    ['indented', whole.replaceAll(/^(?=[#gt])/gm, ' ').replace(' tcp-close', 'tcp-close'), whole],
  ])('%s', (_name, file, expected) => {
    const planned = plan(file, wanted);
    expect(after(file, planned)).toBe(expected);
    expect(planned.state).toBe('InSync');
  });
});

describe('removal', () => {
  const block = managed('', limit(3n * MIB));
  const remove = { kind: 'Remove', emptyDirectory: true };

  test('a file that we made goes, and its directory', () => {
    expect(plan(block, nothing, { origin: madeByUs }).action).toEqual(remove);
    expect(plan(block, nothing, { origin: { hadFile: false, hadDirectory: true } }).action).toEqual({
      kind: 'Remove',
      emptyDirectory: false,
    });
  });

  test('a file of unknown origin stays, empty', () => {
    expect(plan(block, nothing, { origin: null }).action).toEqual({ kind: 'Write', content: bytes('') });
  });

  test('a file with foreign lines stays', () => {
    expect(plan(`${block}tcp-close\n`, nothing, { origin: madeByUs }).action).toEqual({
      kind: 'Write',
      content: bytes('tcp-close\n'),
    });
  });

  test('a directory that a removal cut short has left goes', () => {
    expect(plan(null, nothing, { origin: madeByUs }).action).toEqual(remove);
    expect(plan(null, nothing, { origin: madeByUs, directoryPresent: false }).action).toEqual({
      kind: 'Leave',
    });
    expect(plan(null, nothing, { origin: theirs }).action).toEqual({ kind: 'Leave' });
  });
});

describe('noteOrigin', () => {
  const block = bytes(managed('', limit(3n * MIB)));
  test.each<[string, FileOrigin | null, Uint8Array | null, boolean, FileOrigin]>([
    ['nothing there at first', null, null, false, madeByUs],
    ['a file there at first', null, bytes('tcp-close'), true, theirs],
    ['an empty file there at first', null, bytes(''), true, theirs],
    ['our block only', madeByUs, block, true, madeByUs],
    ['foreign text has come', madeByUs, bytes('tcp-close'), true, { hadFile: true, hadDirectory: false }],
    ['our block only, origin unknown', null, block, true, theirs],
    ['somebody emptied the file', madeByUs, bytes(''), true, { hadFile: true, hadDirectory: false }],
    ['somebody removed the file', theirs, null, true, { hadFile: false, hadDirectory: true }],
    ['somebody removed file and directory', theirs, null, false, madeByUs],
  ])('%s', (_name, known, ...[content, directoryPresent, expected]) => {
    expect(noteOrigin(known, content, directoryPresent)).toEqual(expected);
  });
});

describe('for any file', () => {
  const line = fc.oneof(
    fc.constantFrom(
      'ghost-limit 2M',
      'ghost-limit 8388608',
      'ghost-limit',
      'ghost-limit #',
      'ghost-limit = 5',
      '  ',
      '',
      '\t',
      '#',
      'tcp-close',
      'no-tcp-close',
      'log-file',
      'log-file x',
      'tcp-established\r',
      'verbosity 4',
      '[x]',
      'action-script',
      'manage-cgroups',
      '\0',
      'version',
      'link-remap',
      'x',
    ),
    fc.string({ maxLength: 8 }),
  );
  const file = fc
    .tuple(fc.array(line, { maxLength: 8 }), fc.boolean())
    .map(([lines, ends]) => lines.join('\n') + (ends ? '\n' : ''));
  const wanted: fc.Arbitrary<Desired> = fc.record({
    ghostLimitBytes: fc.option(fc.bigInt(1n, 2n ** 40n)),
    options: fc.subarray([...CRIU_OPTION_NAMES]),
  });

  test('what is written is accepted, gives what is asked for or more, and keeps every foreign byte and option', () => {
    fc.assert(
      fc.property(file, wanted, (before, desired) => {
        const planned = plan(before, desired);
        const result = after(before, planned) ?? '';
        expect(text(splitManagedBlock(bytes(result)).foreign)).toBe(before);
        const judgement = judgeCriuConf(bytes(result));
        const foreign = judgeCriuConf(bytes(before));
        if (planned.action.kind === 'Leave') {
          expect(judgement).toEqual(foreign);
          return;
        }
        expect(judgement.verdict).toBe('Accepted');
        const effective = judgement.ghostLimitBytes ?? MIB;
        expect(effective).toBe(planned.effectiveLimitBytes);
        const given = foreign.ghostLimitBytes ?? MIB;
        const asked = desired.ghostLimitBytes ?? 0n;
        expect(effective).toBe(given > asked ? given : asked);
        for (const name of desired.options)
          expect(judgement.booleans.get(CRIU_OPTION_LINES[name])).toBe(true);
        for (const [name, on] of foreign.booleans) if (on) expect(judgement.booleans.get(name)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  test('a second plan has nothing to do, and taking all back gives the file back', () => {
    fc.assert(
      fc.property(file, wanted, (before, desired) => {
        const result = after(before, plan(before, desired));
        expect(plan(result, desired).action.kind).toBe('Leave');
        expect(after(result, plan(result, nothing))).toBe(before);
      }),
      { numRuns: 3_000 },
    );
  });

  test('going from one wish to another comes to the same file as going there at once', () => {
    fc.assert(
      fc.property(file, wanted, wanted, (before, first, second) => {
        const at = after(before, plan(before, first));
        expect(after(at, plan(at, second))).toBe(after(before, plan(before, second)));
      }),
      { numRuns: 3_000 },
    );
  });
});
