// A refused file as an INI library reads it: tells a user which lines CRIU would take instead. Explains only; never decides.
import type { ConfFinding } from './judge.ts';
import { suggestLine } from './suggest-line.ts';

/** ports/ini-reader.ts gives this shape; sections are nested objects. */
export interface IniView {
  readonly [key: string]: string | boolean | null | readonly string[] | IniView;
}

const LINES_SHOWN = 20;

/** One finding with the whole file in CRIU's own form, when the INI reading finds options of CRIU in it; else none. */
export function explainIniWriting(ini: IniView, line: number): ConfFinding[] {
  const lines = criuLinesOf(ini);
  if (lines.length === 0) return [];
  const shown = lines.slice(0, LINES_SHOWN).map((text) => `"${text}"`);
  const rest = lines.length > LINES_SHOWN ? ` and ${(lines.length - LINES_SHOWN).toString()} more` : '';
  const message = `the file reads like INI, which CRIU does not understand; the same in its own form: ${shown.join(', ')}${rest}`;
  return [{ line, code: 'IniFile', message }];
}

/** The options of CRIU among keys and values, each as the line to write; sections come after what stands before them, and are only walked through. */
export function criuLinesOf(ini: IniView): string[] {
  const lines: string[] = [];
  // No recursion: a section name with many dots nests as deep.
  const sections: IniView[] = [ini];
  for (let section = sections.shift(); section !== undefined; section = sections.shift()) {
    const entries = Object.entries(section);
    for (const [key, value] of entries) if (!isSection(value)) lines.push(...linesOf(key, value));
    sections.unshift(...entries.map(([, value]) => value).filter(isSection));
  }
  return lines;
}

function linesOf(key: string, value: Exclude<IniView[string], IniView>): string[] {
  const values = typeof value === 'object' && value !== null ? value : [value];
  return values
    .map((single) => suggestLine(`${key}=${String(single ?? '')}`))
    .filter((text) => text !== null);
}

function isSection(value: IniView[string]): value is IniView {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
