// Makes the image of the agent for hosts with Docker Engine or Podman, without a registry and without either of them: the executable, nsenter, cp, and the
// libraries that these need, all taken from this machine.
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
/** nsenter runs the host's criu and runc; cp (of GNU) keeps the attributes of the host's files. */
const PROGRAMS = ['nsenter', 'cp'];
const ARCHITECTURES: Partial<Record<string, string>> = { x64: 'amd64' };
/** The same files give the same bytes. */
const TAR = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];

/** What Dockerfile says too. */
const CONFIG = {
  Env: [
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'HOME=/root',
    'GHOSTLIMIT_HOST_ROOT=/host',
  ],
  Entrypoint: ['/usr/local/bin/ghostlimit'],
  Cmd: ['agent', '--standalone', '--policies', '/etc/ghostlimit/policies'],
};

/** Writes `imageFile`, an archive for `docker load` and `podman load`, around `executable`; gives the image's name. 2 s. */
export async function buildStandaloneImage(executable: string, imageFile: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const name = 'ghostlimit:latest';
  const work = await mkdtemp(join(tmpdir(), 'ghostlimit-image-'));
  try {
    const tree = join(work, 'tree');
    const archive = join(work, 'archive');
    await mkdir(archive);
    await layOut(tree, executable);
    const layer = join(archive, 'layer.tar');
    await run('tar', [...TAR, '-C', tree, '-cf', layer, '.']);
    const config = JSON.stringify({
      created: '1970-01-01T00:00:00Z',
      architecture: ARCHITECTURES[process.arch] ?? process.arch,
      os: 'linux',
      config: { ...CONFIG, Labels: { 'org.opencontainers.image.version': version } },
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(await readFile(layer))}`] },
    });
    const configName = `${sha256(config)}.json`;
    await writeFile(join(archive, configName), config);
    const manifest = [{ Config: configName, RepoTags: [name], Layers: ['layer.tar'] }];
    await writeFile(join(archive, 'manifest.json'), JSON.stringify(manifest));
    await run('tar', [...TAR, '-C', archive, '-cf', imageFile, 'manifest.json', configName, 'layer.tar']);
    return name;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function layOut(tree: string, executable: string): Promise<void> {
  for (const folder of ['usr/local/bin', 'usr/bin', 'tmp', 'root'])
    await mkdir(join(tree, folder), { recursive: true });
  const installed = join(tree, 'usr/local/bin/ghostlimit');
  await cp(executable, installed);
  const libraries = new Set(await librariesOf(executable));
  for (const program of PROGRAMS) {
    const file = await findProgram(program);
    await cp(file, join(tree, 'usr/bin', program));
    for (const library of await librariesOf(file)) libraries.add(library);
  }
  for (const library of libraries) {
    const place = join(tree, library);
    await mkdir(dirname(place), { recursive: true });
    await cp(await realpath(library), place);
  }
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

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
