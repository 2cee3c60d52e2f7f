// Builds a containerd that Debian does not have yet from its Go module, once, into the user's cache folder.
import { mkdirSync } from 'node:fs';
import { buildGoPrograms, requireGo } from './go-build.ts';
import type { Bind } from './lab-node.ts';
import type { Progress } from './node-root.ts';
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
  const what = `containerd ${BUILT_CONTAINERD}`;
  const build = async (path: string): Promise<void> => {
    await requireGo(what);
    progress(`building ${what} from its Go module (once; about 3 min)`);
    mkdirSync(path);
    const packages = PROGRAMS.map((program) => `${MODULE}/cmd/${program}`);
    await buildGoPrograms(path, { what, goMod: GO_MOD, packages, linkerFlags: LINKER_FLAGS });
  };
  return cachedTree({ kind: 'containerd', ingredients, build }, progress);
}

/** The bind that a node needs for `startContainerd(node, 'built')`: give it to startLabNode. Builds it if need be. */
export async function containerdBind(progress: Progress): Promise<Bind> {
  return { from: await ensureContainerd(progress), to: BUILT_CONTAINERD_INSIDE, readOnly: true };
}
