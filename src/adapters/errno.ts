// What an error of a file call says, for every adapter that reads or writes files.

/** The errno name of an error from a file call, or null. */
export function errnoName(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

/** Waits for `call`; null when it fails because there is nothing at the path. */
export async function orAbsent<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return null;
    throw error;
  }
}
