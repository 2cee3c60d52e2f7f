// How this very program is started again: as a script of Node, or as the single executable that it is in.
import { isSea } from 'node:sea';

/** Program and first arguments; what comes after them are the words of the command line. */
export function ownCommand(): readonly [string, ...string[]] {
  return isSea() ? [process.execPath] : [process.execPath, process.argv[1] ?? ''];
}
