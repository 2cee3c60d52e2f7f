// What the five fields of a schedule say. Pure; the grammar is CronJob's (robfig/cron v3 ParseStandard, measured), without its descriptors and its slips.

export interface CronFields {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** null: not restricted, that is, the field has a `*` of its own in its list. */
  readonly daysOfMonth: readonly number[] | null;
  readonly months: readonly number[];
  /** 0 is Sunday; null: not restricted. */
  readonly daysOfWeek: readonly number[] | null;
}

export type ParsedCron =
  | { readonly ok: true; readonly fields: CronFields }
  /** What is wrong and what to do, to stand after the field and its value. */
  | { readonly ok: false; readonly problem: string };

interface FieldRule {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly names: readonly string[];
}

const MONTHS = 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ');
const WEEKDAYS = 'SUN MON TUE WED THU FRI SAT'.split(' ');
const RULES: readonly FieldRule[] = [
  { name: 'minute', first: 0, last: 59, names: [] },
  { name: 'hour', first: 0, last: 23, names: [] },
  { name: 'day of month', first: 1, last: 31, names: [] },
  { name: 'month', first: 1, last: 12, names: MONTHS },
  { name: 'day of week', first: 0, last: 6, names: WEEKDAYS },
];

interface ParsedField {
  readonly values: readonly number[];
  /** It has `*` or `?` with all values; Vixie's rule goes by this. */
  readonly isStar: boolean;
}

/** Never throws. */
export function parseCronFields(text: string): ParsedCron {
  try {
    return { ok: true, fields: fieldsOf(text) };
  } catch (error) {
    if (error instanceof CronProblem) return { ok: false, problem: error.message };
    throw error;
  }
}

class CronProblem extends Error {
  override readonly name = 'CronProblem';
}

function fieldsOf(text: string): CronFields {
  if (text.includes('TZ'))
    throw new CronProblem('has a time zone: remove it and set spec.checkpoint.timeZone');
  if (text.startsWith('@'))
    throw new CronProblem(`write five fields instead of ${text}, such as "0 * * * *" for every hour`);
  const parts = text.split(/\s+/).filter((part) => part !== '');
  if (parts.length !== RULES.length)
    throw new CronProblem(
      `has ${parts.length.toString()} fields: write five, minute hour day month weekday, such as "0 */6 * * *"`,
    );
  const [minute, hour, dayOfMonth, month, dayOfWeek] = RULES.map((rule, index) =>
    parseField(parts[index] ?? '', rule),
  ) as [ParsedField, ParsedField, ParsedField, ParsedField, ParsedField];
  return {
    minutes: minute.values,
    hours: hour.values,
    daysOfMonth: dayOfMonth.isStar ? null : dayOfMonth.values,
    months: month.values,
    daysOfWeek: dayOfWeek.isStar ? null : dayOfWeek.values,
  };
}

function parseField(text: string, rule: FieldRule): ParsedField {
  const items = text.split(',').map((item) => parseItem(item, rule));
  return {
    values: [...new Set(items.flatMap(({ values }) => values))].sort((one, other) => one - other),
    isStar: items.some(({ isStar }) => isStar),
  };
}

/** `*`, `?`, `a`, `a-b`, each with or without `/step`; `a/step` goes on to the end of the field. */
function parseItem(item: string, rule: FieldRule): ParsedField {
  const [range = '', stepText, ...tooMany] = item.split('/');
  const step = stepText === undefined ? 1 : wholeNumber(stepText);
  const [low, high] = bounds(range, stepText !== undefined, rule);
  const isRight = low >= rule.first && low <= high && high <= rule.last && step > 0;
  if (!isRight || tooMany.length > 0) throw itemProblem(item, rule);
  const values = Array.from(
    { length: Math.floor((high - low) / step) + 1 },
    (_, index) => low + index * step,
  );
  return { values, isStar: isWildcard(range) && step === 1 };
}

function isWildcard(range: string): boolean {
  return range === '*' || range === '?';
}

/** NaN: no value of the field. */
function bounds(range: string, hasStep: boolean, rule: FieldRule): readonly [number, number] {
  if (isWildcard(range)) return [rule.first, rule.last];
  const [from = '', to, ...tooMany] = range.split('-');
  if (tooMany.length > 0) return [NaN, NaN];
  const low = valueOf(from, rule);
  if (to !== undefined) return [low, valueOf(to, rule)];
  return [low, hasStep ? rule.last : low];
}

function valueOf(text: string, { names, first }: FieldRule): number {
  const index = names.indexOf(text.toUpperCase());
  return index < 0 ? wholeNumber(text) : index + first;
}

function wholeNumber(text: string): number {
  return /^\d{1,4}$/.test(text) ? Number(text) : NaN;
}

function itemProblem(item: string, { name, first, last, names }: FieldRule): CronProblem {
  const words = names.length === 0 ? '' : ` (or ${names[0] ?? ''} to ${names.at(-1) ?? ''})`;
  const bounds = `${first.toString()} to ${last.toString()}${words}`;
  return new CronProblem(
    `"${item}" is no ${name}: use ${bounds}, "*", a range as ${first.toString()}-${last.toString()}, or a step as */2`,
  );
}
