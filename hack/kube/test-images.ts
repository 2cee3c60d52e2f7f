// The images of the workloads that tests run on a lab cluster, built once into the user's cache folder. No registry is
// asked.
import { mkdirSync, symlinkSync, copyFileSync, rmSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ensureNettyTree, NETTY_TLS } from '../lab/netty.ts';
import { ensureJreRoot, ensureNodeRoot } from '../lab/node-root.ts';
import type { Progress } from '../lab/node-root.ts';
import { runProgram } from '../lab/program.ts';
import { cachedTree } from '../lab/root-cache.ts';
import { writeOciImage } from './oci-image.ts';

const LAB = join(import.meta.dirname, '../lab');
const ARCHIVE = 'image.tar';

export interface TestImage {
  /** For `image:` of a container. */
  name: string;
  /** For `images` of startCluster. */
  archive: string;
}

const BUSYBOX = 'docker.io/ghostlimit-lab/busybox:1';
const NETTY = 'docker.io/ghostlimit-lab/netty:1';

/** A static busybox with its applets by name in /bin, 2 MB; sleeps when it is given nothing to do. */
export async function ensureBusyboxImage(progress: Progress): Promise<TestImage> {
  const root = await ensureNodeRoot(progress);
  const folder = await cachedTree(
    {
      kind: 'image-busybox',
      ingredients: { version: 1, root: basename(root) },
      build: async (path) => {
        const tree = join(path, 'tree');
        await layOutBusybox(join(root, 'usr/bin/busybox'), tree);
        const config = { Env: ['PATH=/bin'], Cmd: ['/bin/sleep', '1000000'] };
        await writeOciImage(join(path, ARCHIVE), { names: [BUSYBOX], layers: [['-C', tree, '.']], config });
        rmSync(tree, { recursive: true });
      },
    },
    progress,
  );
  return { name: BUSYBOX, archive: join(folder, ARCHIVE) };
}

async function layOutBusybox(busybox: string, tree: string): Promise<void> {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'var'])
    mkdirSync(join(tree, name), { recursive: true });
  copyFileSync(busybox, join(tree, 'bin/busybox'));
  const { stdout } = await runProgram([busybox, '--list']);
  const applets = stdout.toString().split('\n');
  for (const applet of applets.filter((name) => name !== '' && name !== 'busybox'))
    symlinkSync('busybox', join(tree, 'bin', applet));
}

/**
 * OpenJDK 21 and the real Netty with its BoringSSL library (240 MB): NETTY_TLS of hack/lab/netty.ts, which it runs when
 * it is given nothing to do, loads the library, deletes it and ticks. GHOST_JVM of hack/lab/ghost-holders.ts is there
 * too, smaller and quicker.
 */
export async function ensureNettyImage(progress: Progress): Promise<TestImage> {
  const [jre, netty] = await Promise.all([ensureJreRoot(progress), ensureNettyTree(progress)]);
  const programs = [
    ['netty', 'NettyTls.java'],
    ['ghost-jvm', 'GhostJvm.java'],
  ] as const;
  const folder = await cachedTree(
    {
      kind: 'image-netty',
      ingredients: {
        version: 1,
        trees: [jre, netty].map((tree) => basename(tree)),
        programs: programs.map(([place, name]) => readFileSync(join(LAB, place, name), 'utf8')),
        command: NETTY_TLS,
      },
      build: async (path) => {
        mkdirSync(path);
        const layers = [
          ['-C', jre, '.'],
          ['-C', netty, '.', ...programs.flatMap(([place, name]) => ['-C', join(LAB, place), name])],
        ];
        const config = { Env: ['PATH=/usr/bin:/bin'], Cmd: NETTY_TLS };
        await writeOciImage(join(path, ARCHIVE), { names: [NETTY], layers, config });
      },
    },
    progress,
  );
  return { name: NETTY, archive: join(folder, ARCHIVE) };
}
