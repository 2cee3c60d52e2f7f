// The error of a source that has not been read from the API server once.
import type { Reflector } from '../../machinery/reflector.ts';

/** `what` in words, "the plan"; with what the API server, or the way to it, said last. */
export function notReadYet(what: string, reflector: Pick<Reflector<unknown>, 'status'>): Error {
  const problem = reflector.status().lastError?.message;
  return new Error(
    `${what} was not read from the API server yet${problem === undefined ? '' : `: ${problem}`}`,
  );
}
