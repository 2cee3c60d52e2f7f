// Keeps file system trees that take long to build in the user's cache folder. A tree appears there whole or not at all.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** `$XDG_CACHE_HOME/ghostlimit`, else `~/.cache/ghostlimit`. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base?.startsWith('/') ? base : join(homedir(), '.cache'), 'ghostlimit');
}

/** Field 22 of /proc/PID/stat: with it a pid that was given to another process is told apart. Undefined: no such process. */
function startTime(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

const BUILDING = /^(.+)\.building-(\d+)-(\d+)$/;

/** Removes what dead builders left in `folder`; gives the names of trees that live builders are making. */
function sweepBuilders(folder: string): string[] {
  return readdirSync(folder).flatMap((entry) => {
    const [, tree, pid, time] = BUILDING.exec(entry) ?? [];
    if (tree === undefined || pid === undefined) return [];
    if (startTime(pid) === time && Number(pid) !== process.pid) return [tree];
    if (Number(pid) !== process.pid) rmSync(join(folder, entry), { recursive: true, force: true });
    return [];
  });
}

export interface TreeRecipe {
  /** What the tree is, in its folder's name: `node-root`. */
  kind: string;
  /** Whatever decides the tree's content: another recipe is another tree, built anew. */
  ingredients: unknown;
  /** Makes the tree at a path that does not exist yet; the file system is this one's own until it returns. */
  build: (path: string) => Promise<void>;
}

/** Where the recipe's tree is, or will be. */
export function treePath({ kind, ingredients }: TreeRecipe): string {
  const hash = createHash('sha256').update(JSON.stringify(ingredients)).digest('hex').slice(0, 12);
  return join(cacheFolder(), `${kind}-${hash}`);
}

/**
 * The path of the recipe's tree, built if it is not cached yet. A killed builder leaves only a folder that the next
 * call removes; a second builder waits for the first, and where both built, the one that renames first wins.
 */
export function cachedTree(recipe: TreeRecipe, progress: (line: string) => void): Promise<string> {
  const path = treePath(recipe);
  const made = ours.get(path) ?? makeTree(path, recipe, progress).finally(() => ours.delete(path));
  ours.set(path, made);
  return made;
}

/** What this process is making: however many callers want a tree, it is built once. */
const ours = new Map<string, Promise<string>>();

async function makeTree(path: string, recipe: TreeRecipe, progress: (line: string) => void): Promise<string> {
  const folder = cacheFolder();
  mkdirSync(folder, { recursive: true });
  const name = basename(path);
  let told = false;
  while (sweepBuilders(folder).includes(name) && !existsSync(path)) {
    if (!told) progress(`another process is building ${path}: waiting for it`);
    told = true;
    await sleep(500);
  }
  if (existsSync(path)) return path;
  const temporary = `${path}.building-${process.pid}-${startTime('self') ?? '0'}`;
  rmSync(temporary, { recursive: true, force: true });
  try {
    await recipe.build(temporary);
    putInPlace(temporary, path);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return path;
}

function putInPlace(temporary: string, path: string): void {
  try {
    renameSync(temporary, path);
  } catch (error) {
    // Another builder was faster: its tree is as good as ours.
    if (!existsSync(path)) throw error;
  }
}
