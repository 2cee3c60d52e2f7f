// Builds a containerd that Debian does not have yet from its Go module, once, into the user's cache folder. The module
// comes from wherever this machine's Go is set to fetch modules; this file names no such place.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled } from './installed-program.ts';
import type { Bind } from './lab-node.ts';
import type { Progress } from './node-root.ts';
import { DYING_WITH_US, runProgram } from './program.ts';
import { cachedTree } from './root-cache.ts';

/** The release that is built; its go.mod asks for Go 1.26. */
export const BUILT_CONTAINERD = '2.4.2';
/** Where {@link containerdBind} puts its programs in a node. */
export const BUILT_CONTAINERD_INSIDE = '/opt/containerd';

const MODULE = 'github.com/containerd/containerd/v2';
const PROGRAMS = ['containerd', 'containerd-shim-runc-v2', 'ctr'];
const GO_MOD = `module lab
go 1.26
require ${MODULE} v${BUILT_CONTAINERD}
`;
const LINKER_FLAGS = `-s -w -X ${MODULE}/version.Version=${BUILT_CONTAINERD}`;
/** The Go that is there, never one that it would download. */
const GO_ENVIRONMENT = {
  CGO_ENABLED: '0',
  GOTOOLCHAIN: 'local',
  GOWORK: 'off',
  GOFLAGS: '-mod=mod -trimpath -buildvcs=false',
};

/**
 * A folder with containerd, its runc shim and ctr; built once in 2 to 3 min on 2 cores, in 10 s when Go's own cache has
 * it. Throws with what to do when Go is missing or too old.
 */
export function ensureContainerd(progress: Progress): Promise<string> {
  const ingredients = {
    version: 1,
    goMod: GO_MOD,
    programs: PROGRAMS,
    flags: LINKER_FLAGS,
    arch: process.arch,
  };
  const build = async (path: string): Promise<void> => {
    if (!(await isInstalled(['go', 'version'])))
      throw new Error(
        `containerd ${BUILT_CONTAINERD} is built from its Go module, but there is no Go: install Go 1.26 or newer (a distribution's package may be older), then try again.`,
      );
    progress(`building containerd ${BUILT_CONTAINERD} from its Go module (once; about 3 min)`);
    mkdirSync(path);
    await goBuild(path);
  };
  return cachedTree({ kind: 'containerd', ingredients, build }, progress);
}

async function goBuild(path: string): Promise<void> {
  const source = join(path, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'go.mod'), GO_MOD);
  const { code, stderr } = await runProgram(
    [
      ...[...DYING_WITH_US, 'go', '-C', source, 'build', '-ldflags', LINKER_FLAGS, '-o', `${path}/`],
      ...PROGRAMS.map((program) => `${MODULE}/cmd/${program}`),
    ],
    { env: { ...process.env, ...GO_ENVIRONMENT } },
  );
  rmSync(source, { recursive: true });
  if (code === 0) return;
  const said = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('go: downloading '));
  throw new Error(
    `Go could not build containerd ${BUILT_CONTAINERD}. If its modules cannot be fetched, see to Go's settings (go env GOPROXY). It said:\n${said.slice(-8).join('\n')}`,
  );
}

/** The bind that a node needs for `startContainerd(node, 'built')`: give it to startLabNode. Builds it if need be. */
export async function containerdBind(progress: Progress): Promise<Bind> {
  return { from: await ensureContainerd(progress), to: BUILT_CONTAINERD_INSIDE, readOnly: true };
}
