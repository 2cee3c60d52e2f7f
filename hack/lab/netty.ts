// The real Netty with its BoringSSL library in a JVM container: the program whose deleted file is over CRIU's default
// limit. The jars come from Maven by the machine's own settings; this file names no repository.
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { importTar, JRE_INSIDE } from './docker.ts';
import { ensureInstalled } from './installed-program.ts';
import { PROJECT_INSIDE } from './lab-node.ts';
import type { Bind, LabNode } from './lab-node.ts';
import type { Progress } from './node-root.ts';
import { DYING_WITH_US, runProgram } from './program.ts';
import { cachedTree } from './root-cache.ts';

const POM = join(dirname(import.meta.filename), 'netty/pom.xml');
/** Where the jars are in the tree, and so in the container. */
const JARS = 'opt/netty';
const TREE_INSIDE = '/opt/netty-tree';
const CLASSIFIERS: Partial<Record<string, string>> = { x64: 'linux-x86_64', arm64: 'linux-aarch_64' };

/**
 * What libnetty_tcnative of netty-tcnative-boringssl-static 2.0.70 takes as a deleted file, in bytes of allocated
 * blocks, on x86-64 (measured: CRIU's message on ext4, tmpfs and overlay).
 */
export const NETTY_LIBRARY_BYTES = 2_797_568;

/** Starts /NettyTls.java of the image; its first "tick" comes after about 2 s. */
export const NETTY_TLS: readonly string[] = [
  ...['java', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xmx96m', '-cp', `/${JARS}/*`],
  '/NettyTls.java',
];

/**
 * A tree with netty-handler 4.1.118 and netty-tcnative-boringssl-static 2.0.70 in opt/netty, fetched once in about 6 s.
 * Throws with what to do when Maven is missing and cannot be installed, or finds no repository.
 */
export function ensureNettyTree(progress: Progress): Promise<string> {
  const classifier = CLASSIFIERS[process.arch];
  if (classifier === undefined)
    throw new Error(`netty-tcnative-boringssl-static has no library for ${process.arch}.`);
  const ingredients = { version: 1, classifier, pom: readFileSync(POM, 'utf8') };
  const build = async (path: string): Promise<void> => {
    await ensureInstalled({ program: 'mvn', debianPackage: 'maven' }, progress);
    progress('fetching Netty and its BoringSSL library with Maven (once; about 10 s)');
    mkdirSync(path);
    await copyDependencies(join(path, JARS), classifier);
  };
  return cachedTree({ kind: 'netty', ingredients, build }, progress);
}

async function copyDependencies(folder: string, classifier: string): Promise<void> {
  const { code, stdout, stderr } = await runProgram([
    ...[...DYING_WITH_US, 'mvn', '--quiet', '--batch-mode', '--file', POM],
    ...['dependency:copy-dependencies', `-DoutputDirectory=${folder}`, `-Dnative.classifier=${classifier}`],
  ]);
  if (code === 0) return;
  const said = (stdout.toString() + stderr).split('\n').filter((line) => line.includes('ERROR'));
  throw new Error(
    `Maven could not fetch Netty (${POM}). If no repository can be reached, connect this machine to one, or name another in Maven's settings.xml. It said:\n${said.slice(0, 8).join('\n')}`,
  );
}

/** The bind that a node needs for {@link importNettyImage}, besides jreBind of docker.ts: give both to startLabNode. */
export async function nettyBind(progress: Progress): Promise<Bind> {
  return { from: await ensureNettyTree(progress), to: TREE_INSIDE, readOnly: true };
}

/** tar's words for the container's file system: OpenJDK 21, Netty's jars, /NettyTls.java. */
export const NETTY_TAR_ARGUMENTS: readonly string[] = [
  ...['-C', JRE_INSIDE, '.', '-C', TREE_INSIDE, JARS],
  ...['-C', `${PROJECT_INSIDE}/hack/lab/netty`, 'NettyTls.java'],
];

/** A Docker image of OpenJDK 21, Netty's jars and /NettyTls.java (240 MB, 3 s). Needs both binds. */
export async function importNettyImage(node: LabNode, name: string): Promise<void> {
  await importTar(node, name, NETTY_TAR_ARGUMENTS);
}
