// What parsed YAML or JSON may hold beyond plain data: cycles (by YAML's anchors) and keys that JavaScript gives a meaning. Found before a schema looks at it.
import type { FieldProblem } from './field-problem.ts';
import { printFieldPath } from './field-problem.ts';

/** The first place in `input` that is not plain data; null: all of it is. Looks at every value once. */
export function findUnplainData(input: unknown): FieldProblem | null {
  return visit(input, [], new Set());
}

/** `above`: the objects that lead here. */
function visit(value: unknown, path: readonly PropertyKey[], above: Set<object>): FieldProblem | null {
  if (typeof value !== 'object' || value === null) return null;
  if (above.has(value))
    return {
      field: printFieldPath(path),
      message: 'contains itself: remove the alias that leads back to it',
    };
  above.add(value);
  const entries = Array.isArray(value) ? value.entries() : Object.entries(value);
  for (const [key, inner] of entries as Iterable<[PropertyKey, unknown]>) {
    // zod's records leave this key out in silence, and a selector without one of its labels means more pods.
    if (key === '__proto__')
      return { field: printFieldPath(path), message: 'has the key "__proto__": remove it or correct it' };
    const problem = visit(inner, [...path, key], above);
    if (problem !== null) return problem;
  }
  above.delete(value);
  return null;
}
