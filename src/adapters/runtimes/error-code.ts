// The code of a system error. Not by instanceof: errors of node:fs belong to another realm under some test runners.

/** e.g. "EEXIST"; null: not an error with a code. */
export function errorCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
