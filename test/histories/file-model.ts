// What a CRIU file ought to be: the users' text, and our block in it, tracked apart from the code under test through every edit that somebody makes.
// Texts are latin1: one character a byte.
import type { Random } from './random.ts';

/** The file as it stands. `foreign` is what would be there had we never come. */
export interface FileModel {
  readonly content: string | null;
  readonly foreign: string | null;
  /** The intact block and what is round it; null: there is none, or somebody has edited it since it was written. */
  readonly parts: Parts | null;
}

interface Parts {
  readonly above: string;
  /** The newline that we put before the block. */
  readonly newline: '' | '\n';
  readonly block: string;
  readonly below: string;
}

const END = '# END ghostlimit\n';

export type Edit = (model: FileModel, random: Random) => FileModel;

/** A model of a file that we have just written or left, told by its foreign text alone; throws when the file is not that text with at most one block in it. */
export function modelOf(content: string | null, foreign: string | null): FileModel {
  if (content === foreign) return { content, foreign, parts: null };
  const text = content ?? '';
  for (const { index } of text.matchAll(/^# BEGIN ghostlimit v1 /gm)) {
    const end = text.indexOf(END, index) + END.length;
    const parts = partsAround(text, index, text.slice(index, end));
    if (parts.above + parts.below === (foreign ?? '')) return { content, foreign, parts };
  }
  throw new Error(`foreign bytes changed: ${JSON.stringify({ content, foreign })}`);
}

function partsAround(content: string, start: number, block: string): Parts {
  const before = content.slice(0, start);
  const below = content.slice(start + block.length);
  const newline = /newline=added/.test(block) && below === '' ? '\n' : '';
  return { above: before.slice(0, before.length - newline.length), newline, block, below };
}

/** Lines that others write. None is one that we would write. */
const LINES = [
  ...[
    '# theirs',
    '',
    '   ',
    '\t',
    'tcp-close # theirs',
    'tcp-established # theirs',
    'no-tcp-established',
    'log-file dump.log',
  ],
  ...[
    'ghost-limit 2097153',
    'ghost-limit 8M',
    'ghost-limit=6000001',
    'verbosity 4',
    '# \xff\xfe \0 \xc3',
    'link-remap\t# x',
  ],
];
/** Lines that make CRIU refuse the file, or swallow what follows. */
const BROKEN = [
  '[section]',
  'ghost-limit',
  'ghost-limit = 3145729',
  'log-file #',
  ' \0',
  'evasive-devices\r',
];

const line = (random: Random): string => random.pick(random.chance(0.04) ? BROKEN : LINES);

/** Some lines, perhaps without a newline at the end. */
export function someText(random: Random): string {
  const lines = Array.from({ length: 1 + random.below(3) }, () => line(random));
  return lines.join('\n') + (random.chance(0.8) ? '\n' : '');
}

const edited = (content: string, foreign: string): FileModel => ({ content, foreign, parts: null });

const append: Edit = (model, random) => {
  const text = someText(random);
  if (text === '') return model;
  const { content, foreign, parts } = model;
  const seam = parts?.below === '' ? parts.newline : '';
  return edited((content ?? '') + text, (foreign ?? '') + seam + text);
};

const prepend: Edit = ({ content, foreign, parts }, random) => {
  const text = `${line(random)}\n`;
  const model = edited(text + (content ?? ''), text + (foreign ?? ''));
  return parts === null ? model : { ...model, parts: { ...parts, above: text + parts.above } };
};

const rewrite: Edit = (_model, random) => {
  const text = random.chance(0.1) ? '' : someText(random);
  return edited(text, text);
};

const remove: Edit = () => ({ content: null, foreign: null, parts: null });

/** A line more in our block, or one of our statements changed. */
const editInside: Edit = (model, random) => {
  const { parts } = model;
  if (parts === null) return append(model, random);
  const lines = parts.block.split('\n').slice(0, -1);
  const at = 1 + random.below(lines.length - 1);
  const added = line(random);
  const isStatement = at > 1 && at < lines.length - 1;
  lines.splice(at, isStatement && random.chance(0.5) ? 1 : 0, added);
  const { above, newline, below } = parts;
  return edited(`${above}${newline}${lines.join('\n')}\n${below}`, `${above}${newline}${added}\n${below}`);
};

/** One of the lines of our block is gone, but not BEGIN. */
const deleteInside: Edit = (model, random) => {
  const { parts, foreign } = model;
  if (parts === null) return prepend(model, random);
  const lines = parts.block.split('\n');
  lines.splice(1 + random.below(lines.length - 2), 1);
  return edited(parts.above + parts.newline + lines.join('\n') + parts.below, foreign ?? '');
};

const toCrlf: Edit = (model) => {
  const crlf = (text: string): string => text.replaceAll(/\r?\n/g, '\r\n');
  if (model.content === null) return model;
  const { parts } = model;
  if (parts === null) return edited(crlf(model.content), crlf(model.foreign ?? ''));
  return edited(crlf(model.content), crlf(parts.above + parts.newline + parts.below));
};

const indent: Edit = ({ content, foreign, parts }) => {
  if (parts === null) return { content, foreign, parts };
  const { above, newline, block, below } = parts;
  return edited(above + newline + block.replaceAll(/^(?=.)/gm, '  ') + below, above + newline + below);
};

const truncate: Edit = (model, random) => {
  const { content, parts, foreign } = model;
  if (content === null) return model;
  const left = content.slice(0, random.below(content.length + 1));
  if (parts === null) return edited(left, (foreign ?? '').slice(0, left.length));
  const { above, newline, block, below } = parts;
  const inBlock = left.length - above.length - newline.length;
  if (inBlock > block.length) return edited(left, above + newline + below.slice(0, inBlock - block.length));
  const beginLength = block.indexOf('\n');
  if (inBlock < beginLength) return edited(left, left);
  // BEGIN is whole, so what is left of the block is ours; of BEGIN without its newline nothing more is known about the newline before it.
  return edited(left, above + (inBlock === beginLength ? newline : ''));
};

const copyBlock: Edit = (model, random) => {
  const { parts, content, foreign } = model;
  if (parts === null || content === null || parts.below !== '') return append(model, random);
  return edited(content + parts.block, foreign ?? '');
};

const moveBlockToFront: Edit = (model, random) => {
  const { parts } = model;
  if (parts === null) return prepend(model, random);
  const rest = parts.above + parts.newline + parts.below;
  return edited(parts.block + rest, rest);
};

/** Edits that make a model without `parts` are followed by no other edit before we have looked at the file. */
export const EDITS: readonly Edit[] = [
  ...[append, append, prepend, rewrite, remove, editInside, editInside],
  ...[deleteInside, toCrlf, indent, truncate, truncate, copyBlock, moveBlockToFront],
];

/** Edits that need not know where our block is. */
export const BLIND_EDITS: readonly Edit[] = [rewrite, remove];
