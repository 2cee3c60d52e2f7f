// Makes the two file system trees of the lab from Debian packages: the root of a node with CRIU and the engines, and
// the file system of a JVM container. It installs nothing on this machine but mmdebstrap, and that only when missing.
import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { readDebianMirror } from './debian-mirror.ts';
import { ensureInstalled } from './installed-program.ts';
import { DYING_WITH_US, runProgram } from './program.ts';
import { cachedTree } from './root-cache.ts';

export type Progress = (line: string) => void;

/**
 * The Debian release of a node: `sid` has the newest runtimes; `trixie` (Debian 13) has a crun (1.21) and a libcriu
 * (4.1.1) that read no file but /etc/criu/default.conf.
 */
export type NodeRelease = 'sid' | 'trixie';

/**
 * libcriu2 is what crun loads for a checkpoint; libstdc++6 and libatomic1 are what Node needs; e2fsprogs and xfsprogs
 * make disks for the oracle and for power cuts. checkpointctl (sid) reads archives for comparison.
 */
const SHARED_PACKAGES = [
  ...['criu', 'libcriu2', 'runc', 'crun', 'podman', 'containernetworking-plugins'],
  ...['busybox-static', 'iproute2', 'iptables', 'procps', 'strace', 'ca-certificates'],
  ...['mount', 'util-linux', 'e2fsprogs', 'xfsprogs', 'conntrack', 'ethtool', 'socat', 'openssl', 'curl'],
  ...['jq', 'bc', 'libstdc++6', 'libatomic1'],
];
const NODE_PACKAGES: Record<NodeRelease, readonly string[]> = {
  sid: [...SHARED_PACKAGES, 'containerd', 'docker.io', 'docker-cli', 'checkpointctl'],
  trixie: SHARED_PACKAGES,
};
const JRE_PACKAGES = ['openjdk-21-jre-headless', 'busybox-static'];

/** Nothing in the lab reads these; a smaller tree is unpacked and imported faster. */
const UNREAD = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/info',
  'var/cache/apt',
  'var/lib/apt/lists',
];

/**
 * The root of a lab node (criu, runc, crun, podman; in sid also containerd and docker), built once in 20 to 40 s.
 * Throws with what is missing and what to do: not root, no mmdebstrap, no package mirror.
 */
export function ensureNodeRoot(progress: Progress, suite: NodeRelease = 'sid'): Promise<string> {
  const packages = NODE_PACKAGES[suite];
  const ingredients = { version: 1, suite, packages, unread: UNREAD };
  const build = async (path: string): Promise<void> => {
    progress(`building the root of the lab node from Debian packages (${suite}; once; under a minute)`);
    await debootstrap({ path, suite, variant: 'minbase', packages, progress });
    remove(path, UNREAD);
  };
  return cachedTree({ kind: 'node-root', ingredients, build }, progress);
}

/**
 * The file system of a JVM container: OpenJDK 21 without a desktop, `java` in /usr/bin, and a static busybox. It also
 * runs a single source file (`java Main.java`, measured 0.65 s). Packages are unpacked, not configured: 8 s.
 */
export function ensureJreRoot(progress: Progress): Promise<string> {
  const ingredients = { version: 1, suite: 'sid', packages: JRE_PACKAGES, unread: UNREAD };
  const build = async (path: string): Promise<void> => {
    progress('building the file system of the JVM container from Debian packages (once; about 10 s)');
    await debootstrap({ path, suite: 'sid', variant: 'extract', packages: JRE_PACKAGES, progress });
    finishJreRoot(path);
  };
  return cachedTree({ kind: 'jre-root', ingredients, build }, progress);
}

/** What Debian's package scripts would have made and the container needs; and away with what it does not. */
function finishJreRoot(path: string): void {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) linkIfMissing(`usr/${name}`, join(path, name));
  for (const name of ['dev', 'proc', 'sys', 'run', 'tmp', 'etc', 'root'])
    mkdirSync(join(path, name), { recursive: true });
  const [jvm] = readdirSync(join(path, 'usr/lib/jvm')).filter((name) => name.startsWith('java-21-'));
  if (jvm === undefined)
    throw new Error(`No Java 21 in ${path}/usr/lib/jvm: openjdk-21-jre-headless has changed its layout`);
  const home = `usr/lib/jvm/${jvm}`;
  linkIfMissing(`../lib/jvm/${jvm}/bin/java`, join(path, 'usr/bin/java'));
  remove(path, [...UNREAD, `${home}/legal`, `${home}/lib/server/classes_nocoops.jsa`]);
}

function linkIfMissing(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function remove(root: string, paths: readonly string[]): void {
  for (const path of paths) rmSync(join(root, path), { recursive: true, force: true });
}

interface Bootstrap {
  path: string;
  suite: NodeRelease;
  variant: 'minbase' | 'extract';
  packages: readonly string[];
  progress: Progress;
}

async function debootstrap({ path, suite, variant, packages, progress }: Bootstrap): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Error('The lab needs root (namespaces, mounts, CRIU): run it again as root.');
  await ensureInstalled({ program: 'mmdebstrap', debianPackage: 'mmdebstrap' }, progress);
  const mirror = readDebianMirror();
  const argv = [
    ...DYING_WITH_US,
    ...['mmdebstrap', '--mode=root', '--format=directory', `--variant=${variant}`],
    '--aptopt=Acquire::Check-Valid-Until "false"',
    ...['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*'].map(
      (glob) => `--dpkgopt=path-exclude=${glob}`,
    ),
    `--include=${packages.join(',')}`,
    suite,
    path,
    `deb [signed-by=${mirror.signedBy}] ${mirror.uri} ${suite} main`,
  ];
  const result = await runProgram(argv, {
    onStderrLine: (line) => {
      if (line.startsWith('I: ')) progress(`mmdebstrap: ${line.slice(3)}`);
    },
  });
  if (result.code === 0) return;
  const said = result.stderr.split('\n').filter((line) => /^(E|Err|W):/.test(line.trim()));
  throw new Error(
    `mmdebstrap could not build ${path} from ${mirror.uri} (${suite}). If the mirror cannot be reached, connect this machine to it, or name another in its apt sources. It said:\n${said.slice(-8).join('\n') || result.stderr.slice(-800)}`,
  );
}
