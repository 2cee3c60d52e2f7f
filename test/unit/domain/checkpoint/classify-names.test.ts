// A container chooses its file names, and CRIU prints them: none may pass for another failure.
import { describe, expect, test } from '@jest/globals';
import { classifyFailure } from '../../../../src/domain/checkpoint/classify-failure.ts';
import { MESSAGES } from '../../../fixtures/dump-logs/messages.ts';

/** Messages of CRIU with a name of the container in them, by what they mean. */
const CARRIERS: readonly (readonly [string, (name: string) => string])[] = [
  [
    'GhostLimitExceeded',
    (name) => `Error (criu/files-reg.c:1031): Can't dump ghost file ${name} of 2715648 size, increase limit`,
  ],
  [
    'LinkRemapRequired',
    (name) => `Error (criu/files-reg.c:1250): Can't create link remap for ${name}. Use link-remap option.`,
  ],
  ['MountNotFound', (name) => `Error (criu/files-reg.c:1790): Can't lookup mount=87 for fd=3 path=${name}`],
  [
    'Overmounted',
    (name) =>
      `Error (criu/files-reg.c:1796): Open files on overmounted mounts are not supported yet; mount=87 fd=3 path=${name}`,
  ],
  [
    'MountOther',
    (name) => `Error (criu/mount.c:3876): mnt: The root task has another root than mntns: ${name}`,
  ],
  ['Unclassified', (name) => `Error (criu/files-reg.c:2000): A failure of tomorrow with ${name} in it`],
];

/** What names can look like: every message there is, with and without the words before it, and the words of runtimes. */
const WORDS: readonly string[] = [
  ...MESSAGES.flatMap((message) => {
    const last = message.at(-1) ?? '';
    const said = last.replace(/^Error \([^)]*\): /, '');
    return [last, said, said.replace(/^[a-z-]+: /, '')];
  }),
  'criu failed: type DUMP errno 56',
  'read unixpacket @->@: EOF',
  'exec: "criu": executable file not found in $PATH',
  'kubelet answered 404: 404 page not found',
  'rpc error: code = DeadlineExceeded desc = context deadline exceeded',
  'Dumping finished successfully',
  'a: No space left on device',
];

const verdictOf = (lines: readonly string[]): string => {
  const dumpLog = ['(00.000028) Version: 4.2.1 (gitid 0)', ...lines].join('\n');
  const runtimeError = 'criu failed: type DUMP errno 0';
  return classifyFailure({ runtimeError, dumpLog, timedOut: false }).reason;
};

describe.each(CARRIERS)('%s stays what it is', (reason, carrier) => {
  test('whatever stands in the name', () => {
    const wrong = WORDS.filter(
      (words) =>
        verdictOf([
          `(00.005000) Dumping path for 3 fd via self 21 [/tmp/${words}]`,
          `(00.005672) ${carrier(`/tmp/${words}`)}`,
          '(00.006477) Error (criu/cr-dump.c:1975): Dumping FAILED.',
        ]) !== reason,
    );
    expect(wrong).toEqual([]);
  });

  const withOwnLines = (name: string): string =>
    verdictOf([
      `(00.005000) Dumping path for 3 fd via self 21 [${name}]`,
      '(00.005001) Dumping 3 of 4',
      `(00.005672) ${carrier(name)}`,
      '(00.006477) Error (criu/cr-dump.c:1975): Dumping FAILED.',
      '(00.006478) the end',
    ]);

  test.each([
    ['without a time', ''],
    ['with a time of the past', '(00.000001) '],
    ['with a time of the future', '(99.000000) '],
  ])('with lines of its own in the name, %s', (_sentence, time) => {
    const wrong = WORDS.filter((words) => withOwnLines(`/tmp/x\n${time}${words}\n${time}rest`) !== reason);
    expect(wrong).toEqual([]);
  });

  test('with lines that guess the very time of a print: at worst nobody knows', () => {
    const time = '(00.005672) ';
    const known = new Set([reason, 'Unclassified']);
    const wrong = WORDS.filter((words) => !known.has(withOwnLines(`/tmp/x\n${time}${words}\n${time}rest`)));
    expect(wrong).toEqual([]);
  });
});

test('a mapped file that is called like a GPU makes no GPU of the device after it', () => {
  const lines = [
    '(00.1) Handling VMA with the following smaps entry: 7f0000000000-7f0000001000 rw-s 00000000 00:05 411   /tmp/dev/nvidia0',
    "(00.2) Error (criu/proc_parse.c:663): Can't handle non-regular mapping on 17's map 7f0000000000",
  ];
  expect(verdictOf(lines)).toBe('UnsupportedDevice');
});
