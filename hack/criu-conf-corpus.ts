// The recorded corpus of CRIU files: hand-written ones and ones made from a seed, always the same. Writes nothing.
// Left out on purpose: options that stop or hang the container (leave-stopped, lazy-pages, close), and blanks before quotes beyond what CRIU's
// heap answers the same way every time.

import { CRIU_OPTIONS, matchLongName } from '../src/domain/criu-conf/options.ts';
import type { CriuOption } from '../src/domain/criu-conf/options.ts';
import { HAND_WRITTEN } from './criu-conf-hand-written.ts';
import type { Part } from './criu-conf-hand-written.ts';
import { OPTION_LINES } from './criu-conf-option-lines.ts';

export interface CorpusFile {
  readonly name: string;
  /** characters 0..255, one per byte */
  readonly parts: readonly Part[];
}

const SEED = 20_260_901;
const LIMIT = 'ghost-limit 3145728\n';

/** A small seeded generator (mulberry32): the corpus must come out the same everywhere. */
function makeRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const random = (
  seed: number,
): { pick: (list: readonly string[]) => string; below: (n: number) => number } => {
  const below = makeRandom(seed);
  return { below, pick: (list) => list[below(list.length)] ?? '' };
};

/** Text of a file: each part as often as it says. */
export function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (typeof part === 'string' ? part : part[0].repeat(part[1]))).join('');
}

/** Bytes of a file: one per character. */
export function bytesOf(parts: readonly Part[]): Uint8Array {
  return Uint8Array.from(textOf(parts), (character) => character.charCodeAt(0));
}

const HANGS = new Set(['leave-stopped', 'lazy-pages', 'close']);
const SAFE_OPTIONS = CRIU_OPTIONS.filter(({ name }) => !HANGS.has(name));

/** Every option bare, with a value, and with a value after "=". */
function optionForms(): CorpusFile[] {
  return SAFE_OPTIONS.flatMap(({ name }) => [
    { name: `option ${name}, bare`, parts: [`${name}\n${LIMIT}`] },
    { name: `option ${name}, value`, parts: [`${name} 7\n${LIMIT}`] },
    { name: `option ${name}, joined value`, parts: [`${name}=7\n${LIMIT}`] },
  ]);
}

function shortestUniqueLength(option: CriuOption): number {
  for (let length = 1; length <= option.name.length; length += 1) {
    const match = matchLongName(option.name.slice(0, length));
    if (match.kind === 'Found' && match.option === option) return length;
  }
  return option.name.length;
}

/** Every option by its shortest unique prefix, and by one letter less. The prefix is computed, the verdict is CRIU's. */
function abbreviations(): CorpusFile[] {
  return SAFE_OPTIONS.flatMap((option) => {
    const length = shortestUniqueLength(option);
    const value = option.kind === 'required' ? ' 7' : '';
    const short = option.name.slice(0, length);
    const shorter = option.name.slice(0, length - 1);
    return [
      { name: `prefix ${short} of ${option.name}`, parts: [`${short}${value}\n${LIMIT}`] },
      { name: `prefix ${shorter} of ${option.name}`, parts: [`${shorter}${value}\n${LIMIT}`] },
    ].filter(({ parts }) => parts[0] !== `\n${LIMIT}`);
  });
}

const NAMES = [
  ...[
    'ghost-limit',
    'ghost-limit',
    'ghost-limit',
    'ghost-limit',
    'ghost-l',
    'tcp-established',
    'tcp-close',
    'file-locks',
  ],
  ...[
    'link-remap',
    'ext-unix-sk',
    'shell-job',
    'verbosity',
    'network-lock',
    'manage-cgroups',
    'timeout',
    'no-tcp-close',
  ],
  ...[
    'config',
    'enable-fs',
    'skip-mnt',
    'no-such-option',
    ';',
    '#',
    '# ghost-limit',
    '',
    'tcp',
    'v',
    'x',
    'weak-sysctls',
  ],
];
const SEPARATORS = [
  ' ',
  ' ',
  ' ',
  ' ',
  '\t',
  '=',
  '  ',
  ' \t',
  '\t ',
  ' = ',
  '= ',
  ' =',
  '',
  '\r',
  '\v',
  ' "',
  '="',
  '#',
  ' #',
  '\0',
  ': ',
];
const WORDS = [
  ...[
    '3145728',
    '3145728',
    '3M',
    '2M',
    '8388608',
    '5',
    '0',
    '-1',
    '4K',
    '1G',
    '3m',
    'x',
    'skip',
    'soft',
    '4',
    'true',
    '=',
    'yes',
  ],
  ...[
    '"3M"',
    '"3145728"',
    '"2 M"',
    '"',
    '""',
    '--',
    '-R',
    '-v3',
    '--tcp-close',
    '--ghost-limit=5M',
    '#',
    '# 5M',
    '\\"',
    '\xe9',
    '\0',
  ],
];
const ENDS = [
  '\n',
  '\n',
  '\n',
  '\n',
  '\n',
  ' \n',
  '\t\n',
  '\r\n',
  ' # note\n',
  ' #\n',
  '#x\n',
  ' x\n',
  ' x y\n',
  '\t# x\n',
  '\t#x\n',
  '"\n',
  '\0\n',
  '',
  ' ',
  '  \n\n',
];
const STARTS = ['', '', '', '', '', '', ' ', '\t', '  \t', '\r', '"', '--', '\xef\xbb\xbf', '#', '\0', '\v'];

/** Files of one to six lines put together from words, blanks and endings. */
function composed(count: number): CorpusFile[] {
  const { pick, below } = random(SEED);
  return Array.from({ length: count }, (_, index) => {
    const lines = Array.from({ length: 1 + below(below(2) === 0 ? 2 : 6) }, () => {
      const name = `${pick(STARTS)}${pick(NAMES)}`;
      return below(4) === 0
        ? `${name}${pick(ENDS)}`
        : `${name}${pick(SEPARATORS)}${pick(WORDS)}${pick(ENDS)}`;
    });
    return { name: `composed ${index}`, parts: [lines.join('')] };
  });
}

const BASES = [
  'ghost-limit 3145728\n',
  'ghost-limit "3145728"\n',
  'tcp-established\nghost-limit 3M\n',
  '# limits\nghost-limit 8388608 # netty\nfile-locks\n',
  'tcp-close\nlink-remap\nghost-limit=2097152\n',
  '\tghost-limit\t2M\nshell-job\n',
  'verbosity=4\nnetwork-lock skip\nghost-limit 5M\nno-tcp-close\n',
];
const INSERTED = [
  ' ',
  ' ',
  '\t',
  '\n',
  '\r',
  '\0',
  '"',
  '\\',
  '#',
  '=',
  '-',
  ';',
  'M',
  'K',
  '5',
  'x',
  '\v',
  '\f',
  '\xa0',
  '\xff',
  '\\"',
  ' #',
  '--',
];

/** Good files with one to three characters put in, taken out, replaced or doubled. */
function mutated(count: number): CorpusFile[] {
  const { pick, below } = random(SEED + 1);
  return Array.from({ length: count }, (_, index) => {
    let text = pick(BASES);
    for (let edits = 1 + below(3); edits > 0; edits -= 1) {
      const at = below(text.length + 1);
      const kind = below(4);
      const middle = kind === 1 ? '' : kind === 3 ? text.slice(at, at + 1 + below(12)) : pick(INSERTED);
      text = text.slice(0, at) + middle + text.slice(kind === 0 || kind === 3 ? at : at + 1);
    }
    return { name: `mutated ${index}`, parts: [text] };
  });
}

/** Values out of the characters that CRIU's reading of a value turns on, some of them in quotes. */
function tangledValues(count: number): CorpusFile[] {
  const { pick, below } = random(SEED + 2);
  const characters = ['a', '5', 'M', ' ', ' ', '"', '"', '\\"', '\\', '#', '\t', '=', '-'];
  return Array.from({ length: count }, (_, index) => {
    const tangle = Array.from({ length: 1 + below(14) }, () => pick(characters)).join('');
    const value = below(2) === 0 ? tangle : `"${tangle}${pick(['"', '"', '', '" ', '"#', '" # x'])}`;
    const line = `${pick(['ghost-limit ', 'ghost-limit  ', 'ghost-limit\t', 'lsm-mount-context ', 'skip-mnt ', 'tcp-close '])}${value}\n`;
    return { name: `tangled ${index}`, parts: below(3) === 0 ? [line] : [line, LIMIT] };
  });
}

/** Lines with tabs among others: CRIU makes too little room for their words. */
function tabbed(count: number): CorpusFile[] {
  const { pick, below } = random(SEED + 3);
  const lines = [
    'ghost-limit\t2M\n',
    'tcp-close\tx\n',
    'ghost-limit 3M\n',
    'file-locks\n',
    '# a comment of words\n',
    'ghost-limit \t2M\n',
    '\n',
    'tcp-close  x  # y z\n',
  ];
  return Array.from({ length: count }, (_, index) => {
    const text = Array.from({ length: 2 + below(24) }, () =>
      below(2) === 0 ? pick(lines.slice(0, 2)) : pick(lines),
    );
    return { name: `tabbed ${index}`, parts: [text.join('')] };
  });
}

/** All files of the corpus, names unique. */
export function makeCorpus(): CorpusFile[] {
  return [
    ...HAND_WRITTEN.map(([name, parts]) => ({ name, parts })),
    ...OPTION_LINES.map((line) => ({ name: `line ${JSON.stringify(line)}`, parts: [`${line}\n${LIMIT}`] })),
    ...optionForms(),
    ...abbreviations(),
    ...composed(360),
    ...mutated(320),
    ...tangledValues(240),
    ...tabbed(70),
  ];
}
