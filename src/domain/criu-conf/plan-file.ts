// Decides what to do with one CRIU configuration file: leave it, write it, remove it. Pure; never plans a file that CRIU would refuse because of us, nor one that
// loses a foreign byte or lowers what foreign lines give.
import { CRIU_OPTION_LINES, type CriuOptionName } from '../../api/criu-option.ts';
import { CRIU_DEFAULT_GHOST_LIMIT_BYTES } from '../../api/names.ts';
import type { ConfFinding, ConfJudgement } from './judge.ts';
import { splitManagedBlock, withManagedBlock, type BlockContent, type SplitFile } from './managed-block.ts';

/** What CRIU uses when no file sets a ghost-limit. Source: DEFAULT_GHOST_LIMIT in CRIU 4.2 criu/include/cr_options.h. */
export const CRIU_DEFAULT_LIMIT_BYTES = BigInt(CRIU_DEFAULT_GHOST_LIMIT_BYTES);

/** Files are read up to this size, so none is written beyond it. */
const MAXIMUM_FILE_BYTES = 1_048_576;

/** What was there before us. Kept by the caller, noted durably before the first write; see noteOrigin. */
export interface FileOrigin {
  /** There is a file apart from us, be it empty: it is never removed. */
  readonly hadFile: boolean;
  readonly hadDirectory: boolean;
}

export interface FilePlanInput {
  readonly path: string;
  /** null: there is no such file. */
  readonly content: Uint8Array | null;
  /** Whether the directory of the file is there. */
  readonly directoryPresent: boolean;
  /** ghostLimitBytes 1..2^40, or null: nobody asks for one. */
  readonly desired: BlockContent & { readonly ghostLimitBytes: bigint | null };
  readonly judge: (bytes: Uint8Array) => ConfJudgement;
  /** null: not known; then the file is never removed. */
  readonly origin: FileOrigin | null;
  /** What holds when this file sets no limit: CRIU's default, or what a file that CRIU reads before gives. */
  readonly inheritedLimitBytes?: bigint;
}

export type FileAction =
  | { readonly kind: 'Leave' }
  | { readonly kind: 'Write'; readonly content: Uint8Array }
  | { readonly kind: 'Remove'; readonly emptyDirectory: boolean };

/** Reasons of the registry. ForeignLineInvalid: nothing of ours can take effect, because of a foreign line. */
export type FileState = 'InSync' | 'ForeignLimitSuffices' | 'OverriddenByForeignLine' | 'ForeignLineInvalid';

export interface FilePlan {
  readonly path: string;
  readonly action: FileAction;
  /** What is true of the file once the action is done. */
  readonly state: FileState;
  /** The foreign line that `state` speaks of, in the file as it is after the action, counted from 1; null: none. */
  readonly line: number | null;
  /** One sentence on `state`, with the line and the numbers. */
  readonly message: string;
  /** What the judge remarks about foreign lines, in the file as it is after the action. */
  readonly findings: readonly ConfFinding[];
  /** What CRIU would use after the action; 0 when it refuses the file. */
  readonly effectiveLimitBytes: bigint;
  /** A block of ours is in the file after the action. */
  readonly managed: boolean;
}

/** Pure facts of the file that the decisions share. */
interface View {
  readonly input: FilePlanInput;
  /** The bytes there are; empty for no file. */
  readonly current: Uint8Array;
  readonly foreign: Uint8Array;
  readonly foreignJudgement: ConfJudgement;
  readonly inheritedLimitBytes: bigint;
  /** Where our block goes in `foreign`. */
  readonly at: number;
}

interface Outcome {
  readonly content: Uint8Array;
  readonly state: FileState;
  /** In the file `content`. */
  readonly line: number | null;
}

/**
 * What origin note to keep after the file was read as `content`; to be kept durably before the plan is carried out. The first look decides; later a file that is gone,
 * or foreign text in it, is somebody's doing and counts as the new beginning. Our block alone in a file of unknown origin: taken for the users' file, which is never removed.
 */
export function noteOrigin(
  known: FileOrigin | null,
  content: Uint8Array | null,
  directoryPresent: boolean,
): FileOrigin {
  const hadDirectory = (known?.hadDirectory ?? true) && directoryPresent;
  if (content === null) return { hadFile: false, hadDirectory };
  const { foreign } = withoutBlocks(content);
  const onlyOurs = foreign.length === 0 && content.length > 0;
  return { hadFile: !onlyOurs || (known?.hadFile ?? true), hadDirectory };
}

/** Never throws for any bytes; throws as withManagedBlock does when `desired` is not what its type says. */
export function planFile(given: FilePlanInput): FilePlan {
  const input = { ...given, judge: rememberJudgements(given.judge) };
  const current = input.content ?? new Uint8Array();
  const { foreign, at } = withoutBlocks(current);
  const view: View = {
    input,
    current,
    foreign,
    foreignJudgement: input.judge(foreign),
    inheritedLimitBytes: input.inheritedLimitBytes ?? CRIU_DEFAULT_LIMIT_BYTES,
    at,
  };
  return describe(view, decide(view));
}

/** Judges the same bytes once only. */
function rememberJudgements(judge: FilePlanInput['judge']): FilePlanInput['judge'] {
  const known = new Map<Uint8Array, ConfJudgement>();
  return (bytes) => {
    const judgement = known.get(bytes) ?? judge(bytes);
    known.set(bytes, judgement);
    return judgement;
  };
}

/** The file without any block of ours. Copies of our block that somebody made are taken out too. */
function withoutBlocks(bytes: Uint8Array): Pick<SplitFile, 'foreign' | 'at'> {
  let split = splitManagedBlock(bytes);
  let { at } = split;
  while (split.block !== null) {
    const next = splitManagedBlock(split.foreign);
    if (next.block === null) return { foreign: split.foreign, at };
    split = next;
    at = next.foreign.length; // which copy's place counts is anybody's guess: the block goes to the end again
  }
  return { foreign: split.foreign, at: Math.min(at, split.foreign.length) };
}

function decide(view: View): Outcome {
  const { foreign, foreignJudgement, input } = view;
  const nothingAsked = input.desired.ghostLimitBytes === null && input.desired.options.length === 0;
  if (nothingAsked) return { content: foreign, ...stateOfForeign(view) };
  if (foreignJudgement.refusal !== null) return leaveBroken(view, foreignJudgement.refusal.line);
  const own = ownContent(view);
  if (own === null) return { content: foreign, ...stateOfForeign(view) };
  return placeBlock(view, own);
}

/** The state of a file that has no line of ours. */
function stateOfForeign(view: View): Pick<Outcome, 'state' | 'line'> {
  const { foreignJudgement, input } = view;
  if (foreignJudgement.refusal !== null)
    return { state: 'ForeignLineInvalid', line: foreignJudgement.refusal.line };
  const suffices = input.desired.ghostLimitBytes !== null && foreignJudgement.ghostLimitBytes !== null;
  return suffices
    ? { state: 'ForeignLimitSuffices', line: foreignJudgement.ghostLimitLine }
    : { state: 'InSync', line: null };
}

/** Foreign lines alone make CRIU refuse the file: nothing of ours would help, so nothing is touched. */
function leaveBroken(view: View, lineInForeign: number): Outcome {
  return {
    content: view.current,
    state: 'ForeignLineInvalid',
    line: lineInFile(view.current, lineInForeign),
  };
}

/** What has to stand in our block beside the foreign lines; null: nothing. */
function ownContent(view: View): BlockContent | null {
  const { desired } = view.input;
  const options = desired.options.filter((option) => !isOn(view.foreignJudgement, option));
  const enough = limitOf(view, view.foreignJudgement);
  const ghostLimitBytes =
    desired.ghostLimitBytes !== null && desired.ghostLimitBytes > enough ? desired.ghostLimitBytes : null;
  return ghostLimitBytes === null && options.length === 0 ? null : { ghostLimitBytes, options };
}

function isOn(judgement: ConfJudgement, option: CriuOptionName): boolean {
  return judgement.booleans.get(CRIU_OPTION_LINES[option]) === true;
}

function limitOf(view: View, judgement: ConfJudgement): bigint {
  if (judgement.refusal !== null) return 0n;
  return judgement.ghostLimitBytes ?? view.inheritedLimitBytes;
}

/** Puts the block in, provided that CRIU then reads our lines as ours and the foreign ones as before. */
function placeBlock(view: View, own: BlockContent): Outcome {
  const content = withManagedBlock(view.foreign, own, view.at);
  if (content.length > MAXIMUM_FILE_BYTES || !isReadAsWritten(view, content, view.at))
    return takeBack(view, own);
  const overriding = overridingLine(view, content, own);
  if (overriding === null) return { content, ...limitState(view, content, own) };
  // Foreign lines after ours win: reported, not fought over. Our block still says what is wanted, for the day when they are gone.
  return { content, state: 'OverriddenByForeignLine', line: overriding };
}

/** In sync; said as `ForeignLimitSuffices` when only options of ours were needed. */
function limitState(view: View, content: Uint8Array, own: BlockContent): Pick<Outcome, 'state' | 'line'> {
  const { ghostLimitLine } = view.input.judge(content);
  const asked = view.input.desired.ghostLimitBytes !== null;
  return asked && own.ghostLimitBytes === null && ghostLimitLine !== null
    ? { state: 'ForeignLimitSuffices', line: ghostLimitLine }
    : { state: 'InSync', line: null };
}

/** CRIU would accept the file, and read exactly the foreign options that it read before and then or between them ours. */
function isReadAsWritten(view: View, content: Uint8Array, at: number): boolean {
  const judgement = view.input.judge(content);
  if (judgement.refusal !== null) return false;
  const { block } = splitManagedBlock(content);
  if (block === null) return false;
  const isOurs = (line: number): boolean => line >= block.startLine && line <= block.endLine;
  const words = (options: ConfJudgement['options']): string =>
    JSON.stringify(options.map(({ name, value }) => [name, value]));
  const ours = judgement.options.filter(({ line }) => isOurs(line));
  const foreign = judgement.options.filter(({ line }) => !isOurs(line));
  const expected = [
    ...(block.ghostLimitBytes === null ? [] : [['ghost-limit', block.ghostLimitBytes.toString()]]),
    ...block.options.map((option) => [CRIU_OPTION_LINES[option], null]),
  ];
  const before = at === view.at ? view.foreignJudgement : view.input.judge(view.foreign);
  return words(ours) === JSON.stringify(expected) && words(foreign) === words(before.options);
}

/** The foreign line that undoes one of ours; null: all of ours hold. */
function overridingLine(view: View, content: Uint8Array, own: BlockContent): number | null {
  const judgement = view.input.judge(content);
  if (own.ghostLimitBytes !== null && limitOf(view, judgement) < own.ghostLimitBytes)
    return judgement.ghostLimitLine;
  const undone = own.options.find((option) => !isOn(judgement, option));
  if (undone === undefined) return null;
  const off = `no-${CRIU_OPTION_LINES[undone]}`;
  return judgement.options.findLast(({ name }) => name === off)?.line ?? null;
}

/**
 * Our lines cannot take effect where they stand, though CRIU accepts the foreign ones: one of those ends the options (`--`) or swallows our first word as its value.
 * The file is left as it is; if our old block makes CRIU refuse it, the block goes.
 */
function takeBack(view: View, own: BlockContent): Outcome {
  const content = view.input.judge(view.current).refusal === null ? view.current : view.foreign;
  const culprit = culpritLine(view, own);
  return {
    content,
    state: 'ForeignLineInvalid',
    line: culprit === null ? null : lineInFile(content, culprit),
  };
}

/** The foreign line before which our block would work and after which it does not; null: no line does that. */
function culpritLine(view: View, own: BlockContent): number | null {
  const starts = lineStarts(view.foreign);
  const works = (index: number): boolean => {
    const at = starts[index] ?? view.foreign.length;
    return isReadAsWritten(view, withManagedBlock(view.foreign, own, at), at);
  };
  let good = 0;
  let bad = starts.length;
  if (bad === 0 || !works(good)) return null;
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (works(middle)) good = middle;
    else bad = middle;
  }
  return bad;
}

/** Offsets of the lines. */
function lineStarts(bytes: Uint8Array): readonly number[] {
  const starts: number[] = [];
  for (let start = 0; start < bytes.length;) {
    starts.push(start);
    const newline = bytes.indexOf(0x0a, start);
    start = newline === -1 ? bytes.length : newline + 1;
  }
  return starts;
}

/** The line of the file `bytes` that is line `foreignLine` once our blocks are out. */
function lineInFile(bytes: Uint8Array, foreignLine: number): number {
  const { foreign, block, ownLines } = splitManagedBlock(bytes);
  if (block === null) return foreignLine;
  let line = lineInFile(foreign, foreignLine);
  for (const own of ownLines) if (own <= line) line += 1;
  return line;
}

function describe(view: View, outcome: Outcome): FilePlan {
  const { input } = view;
  const { content, state, line } = outcome;
  const judgement = input.judge(content);
  const { block, ownLines } = splitManagedBlock(content);
  const effectiveLimitBytes = limitOf(view, judgement);
  return {
    path: input.path,
    action: actionFor(view, content),
    state,
    line,
    message: messageOf(view, outcome, judgement),
    findings: judgement.findings.filter((finding) => !ownLines.includes(finding.line)),
    effectiveLimitBytes,
    managed: block !== null,
  };
}

function actionFor(view: View, content: Uint8Array): FileAction {
  const { input, current } = view;
  if (content.length === 0 && input.content === null) return leftoverDirectory(input);
  if (content.length === 0 && input.origin?.hadFile === false)
    return { kind: 'Remove', emptyDirectory: !input.origin.hadDirectory };
  const unchanged = input.content !== null && isSame(content, current);
  return unchanged ? { kind: 'Leave' } : { kind: 'Write', content };
}

/** There is no file and none is wanted; a directory of ours may be left of a removal that was cut short. */
function leftoverDirectory({ origin, directoryPresent }: FilePlanInput): FileAction {
  const ours = origin !== null && !origin.hadDirectory && !origin.hadFile;
  return ours && directoryPresent ? { kind: 'Remove', emptyDirectory: true } : { kind: 'Leave' };
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function messageOf(view: View, { state, line }: Outcome, judgement: ConfJudgement): string {
  const { path, desired } = view.input;
  const where = line === null ? path : `${path} line ${line}`;
  const limit = limitOf(view, judgement).toString();
  const asked = desired.ghostLimitBytes?.toString() ?? 'none';
  switch (state) {
    case 'InSync':
      return `${path} gives a ghost-limit of ${limit} bytes, as asked for.`;
    case 'ForeignLimitSuffices':
      return `${where} gives a ghost-limit of ${limit} bytes, which is enough for the ${asked} asked for.`;
    case 'OverriddenByForeignLine':
      return `${where} comes after our lines and overrides them: the ghost-limit is ${limit} bytes, asked for is ${asked}.`;
    case 'ForeignLineInvalid':
      return view.foreignJudgement.refusal === null
        ? `${where} keeps lines after it from taking effect, so ours are not written.`
        : `${where}: ${view.foreignJudgement.refusal.message}`;
  }
}
