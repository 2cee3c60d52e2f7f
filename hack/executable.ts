// Makes one executable file of the product with Node in it (Node's single executable applications), for hosts that have none. The same sources and the same Node
// give the same bytes.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
/** The mark in Node's binary that tells it to look for a program. Source: Node's documentation of single executable applications. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const POSTJECT = join(root, 'node_modules/postject/dist/cli.js');
/** V8 salts its code cache with random numbers otherwise (measured: the only bytes that differ from build to build). The cache is taken all the same (measured). */
const FIXED_SEED = '--random-seed=1';

export interface Executable {
  readonly bytes: number;
  readonly sha256: string;
}

/** Builds `file`, and `file`.sha256 beside it for `sha256sum --check`. A file that is there is replaced whole, so that it may be running. 4 s. */
export async function buildExecutable(file: string, warn: (line: string) => void): Promise<Executable> {
  const work = await mkdtemp(join(tmpdir(), 'ghostlimit-build-'));
  const temporary = `${file}.${process.pid.toString()}.tmp`;
  try {
    const blob = await makeBlob(work);
    await copyFile(process.execPath, temporary);
    // Without its symbols Node is 18 MB smaller and works as before; where binutils are missing the file is just larger.
    await run('strip', [temporary]).catch(() => {
      warn('strip is not installed: the executable keeps its symbols');
    });
    // As a program, so that its warnings about sections without a name, which do no harm, stay its own.
    await run(process.execPath, [POSTJECT, temporary, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE]);
    await chmod(temporary, 0o755);
    const content = await readFile(temporary);
    const sha256 = createHash('sha256').update(content).digest('hex');
    await rename(temporary, file);
    await writeFile(`${file}.sha256`, `${sha256}  ${basename(file)}\n`);
    return { bytes: content.length, sha256 };
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(temporary, { force: true });
  }
}

/** Gives the path of the blob. Names in it are relative: they are kept in the blob. */
async function makeBlob(work: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  await build({
    absWorkingDir: root,
    entryPoints: ['src/main.ts'],
    outfile: join(work, 'ghostlimit.cjs'),
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    minifySyntax: true,
    define: { __GHOSTLIMIT_VERSION__: JSON.stringify(version) },
  });
  const config = {
    main: 'ghostlimit.cjs',
    output: 'ghostlimit.blob',
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
  };
  await writeFile(join(work, 'sea.json'), JSON.stringify(config));
  await run(process.execPath, [FIXED_SEED, '--experimental-sea-config', 'sea.json'], { cwd: work });
  return join(work, 'ghostlimit.blob');
}
