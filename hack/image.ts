// Makes the image of all of the product's programs, without a registry and without Docker: Node, the bundle, the tools
// that the agent calls, and the libraries that these need, all taken from this machine. Run by `npm run image`.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { bundle, readVersion } from './bundle.ts';
import { writeOciImage } from './kube/oci-image.ts';

const run = promisify(execFile);

/** What the manifests of the operator name. */
export const IMAGE = 'docker.io/ghostlimit/ghostlimit:dev';
/** The second is what `docker run ghostlimit` means. */
const NAMES = [IMAGE, 'docker.io/library/ghostlimit:latest'];
/** For pods that need no rights on their node, as `runAsUser`. */
export const IMAGE_USER = 65532;

const NODE = 'usr/local/bin/node';
const BUNDLE = 'usr/local/lib/ghostlimit';
/**
 * nsenter runs the host's criu and runc; cp (of GNU) keeps the attributes of the host's files; env is the first word
 * of the bundle.
 */
const TOOLS = ['nsenter', 'cp', 'env'];

const PASSWD = `root:x:0:0:root:/root:/usr/sbin/nologin\nghostlimit:x:${IMAGE_USER}:${IMAGE_USER}:ghostlimit:/tmp:/usr/sbin/nologin\n`;
const GROUP = `root:x:0:\nghostlimit:x:${IMAGE_USER}:\n`;

/** What deploy/docker/Dockerfile says too. */
const CONFIG = {
  Env: [
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'HOME=/root',
    'GHOSTLIMIT_HOST_ROOT=/host',
  ],
  Entrypoint: ['/usr/local/bin/ghostlimit'],
  Cmd: ['agent', '--standalone', '--policies', '/etc/ghostlimit/policies'],
};

/**
 * Writes `archive`, for `ctr images import`, `docker load` and `podman load`: two layers, of which only the upper one
 * changes with our sources. The same sources on the same machine give the same bytes. 4 s.
 */
export async function buildImage(archive: string, warn: (line: string) => void): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'ghostlimit-image-'));
  try {
    const base = join(work, 'base');
    const program = join(work, 'program');
    await layOutBase(base, warn);
    await layOutProgram(program);
    await writeOciImage(archive, {
      names: NAMES,
      layers: [
        ['-C', base, '.'],
        ['-C', program, '.'],
      ],
      config: { ...CONFIG, Labels: { 'org.opencontainers.image.version': await readVersion() } },
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function layOutBase(tree: string, warn: (line: string) => void): Promise<void> {
  for (const folder of [dirname(NODE), 'usr/bin', 'etc', 'tmp', 'root'])
    await mkdir(join(tree, folder), { recursive: true });
  await writeFile(join(tree, 'etc/passwd'), PASSWD);
  await writeFile(join(tree, 'etc/group'), GROUP);
  const node = join(tree, NODE);
  await cp(process.execPath, node);
  // Without its symbols Node is 18 MB smaller and works as before.
  await run('strip', [node]).catch(() => {
    warn('strip is not installed: Node keeps its symbols in the image');
  });
  const libraries = new Set(await librariesOf(process.execPath));
  for (const tool of TOOLS) {
    const file = await findProgram(tool);
    await cp(file, join(tree, 'usr/bin', tool));
    for (const library of await librariesOf(file)) libraries.add(library);
  }
  for (const library of libraries) {
    const place = join(tree, library);
    await mkdir(dirname(place), { recursive: true });
    await cp(await realpath(library), place);
  }
}

async function layOutProgram(tree: string): Promise<void> {
  await mkdir(join(tree, 'usr/local/bin'), { recursive: true });
  await bundle(join(tree, BUNDLE));
  await symlink(`/${BUNDLE}/ghostlimit.mjs`, join(tree, 'usr/local/bin/ghostlimit'));
}

/** Absolute paths, the dynamic linker's own among them. */
async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run('ldd', [program]);
  if (stdout.includes('not found')) throw new Error(`${program} lacks a library on this machine:\n${stdout}`);
  return [...stdout.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].map(([, path = '']) => path);
}

async function findProgram(name: string): Promise<string> {
  const { stdout } = await run('sh', ['-c', 'command -v "$1"', 'find', name]);
  return await realpath(stdout.trim());
}

if (import.meta.main) {
  const dist = join(import.meta.dirname, '..', 'dist');
  const archive = join(dist, 'ghostlimit-image.tar');
  const tell = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  await mkdir(dist, { recursive: true });
  await buildImage(archive, tell);
  tell(`dist/ghostlimit-image.tar: ${((await stat(archive)).size / 1e6).toFixed(0)} MB, image ${IMAGE}`);
}
