// Label and field selectors as the API server reads them from a query.
import { isPlainObject, metadataOf, valueAt } from './plain-json.ts';
import type { PlainObject } from './plain-json.ts';
import { refused } from './status-errors.ts';

export type Selects = (object: PlainObject) => boolean;

/** Equality and set terms, "a=b,c!=d,e in (f,g),h notin (i),j,!k". Throws 400 for anything else. */
export function labelSelector(text: string | undefined): Selects {
  const terms = splitTerms(text ?? '').map(labelTerm);
  return (object) => {
    const labels = metadataOf(object)['labels'];
    return terms.every((term) => term(isPlainObject(labels) ? labels : {}));
  };
}

type LabelTerm = (labels: PlainObject) => boolean;

const SET_TERM = /^([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)$/;
const EQUALITY_TERM = /^([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)$/;
const PRESENCE_TERM = /^(!?)\s*([^\s!=,()]+)$/;

function labelTerm(text: string): LabelTerm {
  const set = SET_TERM.exec(text);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    // As with "!=", a label that is missing is not in the set.
    return (labels) => (key in labels && values.includes(String(labels[key]))) === (operator === 'in');
  }
  const equality = EQUALITY_TERM.exec(text);
  if (equality !== null) {
    const [, key = '', operator, value = ''] = equality;
    return (labels) => (labels[key] === value) === (operator !== '!=');
  }
  const presence = PRESENCE_TERM.exec(text);
  if (presence === null) throw refused.badRequest(`unable to parse requirement: ${text}`);
  const [, not, key = ''] = presence;
  return (labels) => key in labels === (not === '');
}

/** "a.b=c,d.e!=f" over the fields that the kind allows. Throws 400 for others. */
export function fieldSelector(text: string | undefined, allowed: readonly string[]): Selects {
  const terms = fieldTerms(text);
  for (const { path } of terms)
    if (!['metadata.name', 'metadata.namespace', ...allowed].includes(path))
      throw refused.badRequest(`field label not supported: ${path}`);
  return (object) =>
    terms.every(({ path, value, isEqual }) => (fieldText(object, path) === value) === isEqual);
}

/** The one name that a field selector asks for; null: it does not. */
export function selectedName(text: string | undefined): string | null {
  return fieldTerms(text).find(({ path, isEqual }) => path === 'metadata.name' && isEqual)?.value ?? null;
}

interface FieldTerm {
  readonly path: string;
  readonly value: string;
  readonly isEqual: boolean;
}

function fieldTerms(text: string | undefined): FieldTerm[] {
  return splitTerms(text ?? '').map((term) => {
    const match = /^([^!=]+)(==|=|!=)(.*)$/.exec(term);
    if (match === null) throw refused.badRequest(`invalid field selector: ${term}`);
    const [, path = '', operator, value = ''] = match;
    return { path: path.trim(), value: value.trim(), isEqual: operator !== '!=' };
  });
}

function fieldText(object: PlainObject, path: string): string {
  const value = valueAt(object, path.split('.'));
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : '';
}

/** At commas outside of parentheses. */
function splitTerms(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '');
}
