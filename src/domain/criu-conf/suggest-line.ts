// The line that the author of an INI-shaped statement most likely meant, in CRIU's own form. A suggestion for messages, never written to a file.

import { CRIU_OPTIONS, optionNamed } from './options.ts';
import type { CriuOption } from './options.ts';

const OFF_WORDS = ['false', 'no', 'off', '0'];

interface NameAndValue {
  readonly name: string;
  readonly value: string;
}

/** Takes away what INI writers, shells and YAML put round a value. No step goes back over the text: lines may be long. */
function splitLine(line: string): NameAndValue | null {
  const statement =
    line
      .replace(/^(?:\uFEFF|\xEF\xBB\xBF)/, '')
      .trim()
      .split(/[#;]/, 1)[0] ?? '';
  const name = /^-{0,2}([A-Za-z][A-Za-z_-]*)/.exec(statement);
  if (!name) return null;
  const rest = statement.slice(name[0].length).trim();
  const value = /^[=:]/.test(rest) ? rest.slice(1).trim() : rest;
  return { name: name[1] ?? '', value: value.replace(/^"/, '').replace(/"$/, '').trim() };
}

function findOption(name: string): CriuOption | null {
  const wanted = name.toLowerCase().replaceAll('_', '-');
  return (
    optionNamed(wanted) ?? CRIU_OPTIONS.find((option) => option.name.replaceAll('-', '') === wanted) ?? null
  );
}

function booleanLine(option: CriuOption, value: string): string {
  const off = OFF_WORDS.includes(value.toLowerCase());
  return off && optionNamed(`no-${option.name}`) ? `no-${option.name}` : option.name;
}

/** `3m`, `3 MiB` → `3M`; anything else as it is. */
function plainSize(value: string): string {
  const match = /^([0-9]+)\s*([kmg])(?:i?b)?$/i.exec(value);
  return match ? `${match[1] ?? ''}${(match[2] ?? '').toUpperCase()}` : value;
}

function lineFor(option: CriuOption, value: string): string | null {
  if (option.kind === 'boolean') return booleanLine(option, value);
  if (value === '') return option.kind === 'optional' ? option.name : null;
  if (option.kind === 'optional') return `${option.name}=${value}`;
  return `${option.name} ${option.name === 'ghost-limit' ? plainSize(value) : value}`;
}

/** `ghost-limit = 3145728` → `ghost-limit 3145728`; `tcp-established=true` → `tcp-established`; null: it names no option of CRIU. */
export function suggestLine(line: string): string | null {
  const parts = splitLine(line);
  const option = parts && findOption(parts.name);
  return option && lineFor(option, parts.value);
}
