// `npm run build:executable`: dist/ghostlimit for hosts without Node. With --image also dist/ghostlimit-image.tar, for `docker load` and `podman load`.
import { execFileSync } from 'node:child_process';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { buildExecutable } from './executable.ts';
import { buildImage, IMAGE } from './image.ts';

const dist = join(import.meta.dirname, '..', 'dist');
const tell = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
/** The best of five, in milliseconds. */
const startTimeMs = (command: string, args: readonly string[]): string => {
  const timesMs = Array.from({ length: 5 }, () => {
    const startedMs = performance.now();
    execFileSync(command, [...args, '--version'], { stdio: 'ignore' });
    return performance.now() - startedMs;
  });
  return Math.min(...timesMs).toFixed(0);
};
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

await mkdir(dist, { recursive: true });
const executable = join(dist, 'ghostlimit');
const { bytes, sha256 } = await buildExecutable(executable, tell);
tell(`dist/ghostlimit: ${megabytes(bytes)}, sha256 ${sha256}`);
tell(
  `starts in ${startTimeMs(executable, [])} ms; node with dist/ghostlimit.mjs in ${startTimeMs(process.execPath, [join(dist, 'ghostlimit.mjs')])} ms`,
);
if (process.argv.includes('--image')) {
  const image = join(dist, 'ghostlimit-image.tar');
  await buildImage(image, tell);
  tell(`dist/ghostlimit-image.tar: ${megabytes((await stat(image)).size)}, image ${IMAGE}`);
}
