// Builds Kubernetes, etcd, Helm and a program around kstatus from their Go modules, once, into the user's cache folder: a
// folder a program. The modules come from wherever this machine's Go is set to fetch them.
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { buildGoPrograms, requireGo, runGo } from '../lab/go-build.ts';
import type { GoPrograms } from '../lab/go-build.ts';
import type { Progress } from '../lab/node-root.ts';
import { cachedTree, treePath } from '../lab/root-cache.ts';
import type { TreeRecipe } from '../lab/root-cache.ts';
import { withBuildLock } from './build-lock.ts';

export const KUBERNETES_VERSION = '1.37.2';
const ETCD_VERSION = '3.7.3';
const HELM_VERSION = '4.3.1';
const KSTATUS_VERSION = '1.3.0';

const KUBERNETES = 'k8s.io/kubernetes';
const ETCD = 'go.etcd.io/etcd/server/v3';
const HELM = 'helm.sh/helm/v4';
const KSTATUS = 'github.com/fluxcd/cli-utils';

/** In the order in which they are built: what most callers wait for comes first. */
const KUBE_PROGRAMS = [
  'etcd',
  'kube-apiserver',
  'kubelet',
  'kube-controller-manager',
  'kube-scheduler',
  'kubectl',
  'helm',
  'kstatus',
] as const;
export type KubeProgram = (typeof KUBE_PROGRAMS)[number];

/** The path of each program's file on this machine. */
export type KubeBinaries<P extends KubeProgram = KubeProgram> = Readonly<Record<P, string>>;

interface Build {
  version: string;
  module: string;
  /** The import path of the program. */
  package: string;
  /** Of a library: our program around it. */
  sources?: Record<string, string>;
  linkerFlags: string;
}

/** `kubectl version` and a node's kubeletVersion are what these flags set. */
const kubernetes = (program: string): Build => {
  const [major = '', minor = ''] = KUBERNETES_VERSION.split('.');
  const set = { gitVersion: `v${KUBERNETES_VERSION}`, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(set).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  );
  return {
    version: KUBERNETES_VERSION,
    module: KUBERNETES,
    package: `${KUBERNETES}/cmd/${program}`,
    linkerFlags: ['-s -w', ...flags].join(' '),
  };
};

function buildOf(program: KubeProgram): Build {
  switch (program) {
    case 'etcd':
      return { version: ETCD_VERSION, module: ETCD, package: ETCD, linkerFlags: '-s -w' };
    case 'helm':
      return {
        version: HELM_VERSION,
        module: HELM,
        package: `${HELM}/cmd/helm`,
        linkerFlags: `-s -w -X ${HELM}/internal/version.version=v${HELM_VERSION}`,
      };
    case 'kstatus':
      return {
        version: KSTATUS_VERSION,
        module: KSTATUS,
        package: 'lab/kstatus',
        sources: {
          'kstatus/main.go': readFileSync(join(import.meta.dirname, 'kstatus/main.go'), 'utf8'),
        },
        linkerFlags: '-s -w',
      };
    default:
      return kubernetes(program);
  }
}

/**
 * What a module's own go.mod replaces by folders of its repository, as published modules: Kubernetes keeps its
 * libraries in one repository and numbers them 0.MINOR.PATCH.
 */
async function replacements({ module, version }: Build, what: string): Promise<string[]> {
  if (module !== KUBERNETES) return [];
  const downloaded = await runGo(['mod', 'download', '-json', `${module}@v${version}`], what);
  const { GoMod } = JSON.parse(downloaded) as { GoMod: string };
  const names = [...readFileSync(GoMod, 'utf8').matchAll(/^\s*(\S+) => \.\/staging\//gm)];
  const [, minor = '', patch = ''] = version.split('.');
  return names.map(([, name = '']) => `replace ${name} => ${name} v0.${minor}.${patch}`);
}

function recipe(program: KubeProgram, progress: Progress): TreeRecipe {
  const build = buildOf(program);
  const what = `${program} ${build.version}`;
  return {
    kind: program,
    ingredients: { layout: 1, ...build, arch: process.arch },
    build: async (path) => {
      const startedMs = performance.now();
      progress(`building ${what} from its Go module (once)`);
      mkdirSync(path);
      const require = `require ${build.module} v${build.version}`;
      const goMod = ['module lab', 'go 1.26', require, ...(await replacements(build, what)), ''].join('\n');
      const { package: name, sources = {}, linkerFlags } = build;
      const programs: GoPrograms = { what, goMod, packages: [name], sources, linkerFlags };
      await buildGoPrograms(path, programs);
      // A module's root has no better name for its program than its folder's.
      if (program === 'etcd') renameSync(join(path, 'server'), join(path, 'etcd'));
      progress(`built ${what} in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
    },
  };
}

/** This process asks once for each program, however many callers it has. */
const asked = new Map<KubeProgram, Promise<string>>();
let lastBuild: Promise<unknown> = Promise.resolve();

function ensureProgram(program: KubeProgram, progress: Progress): Promise<string> {
  const known = asked.get(program);
  if (known) return known;
  const treeRecipe = recipe(program, progress);
  const path = treePath(treeRecipe);
  if (existsSync(path)) return Promise.resolve(join(path, program));
  const locked = async (): Promise<string> => {
    await requireGo(`${program} ${buildOf(program).version}`);
    const wait = (): void => {
      progress(`another process is building for the lab: ${program} comes after it`);
    };
    return await withBuildLock('kube-build', wait, () => cachedTree(treeRecipe, progress));
  };
  const built = lastBuild.then(locked).then((folder) => join(folder, program));
  lastBuild = built.catch(() => undefined);
  asked.set(program, built);
  // After a failure the next call tries again.
  built.catch(() => asked.delete(program));
  return built;
}

/**
 * The programs, built if need be: each is in place as soon as it is ready, and a killed build leaves nothing half.
 * On 2 cores etcd takes 20 s, kube-apiserver 4 min, all of them 8 min; seconds when Go's own cache has them. Builds of
 * several processes wait for each other. Rejects with what to do when Go or its modules are missing.
 */
export async function ensureKubePrograms<P extends KubeProgram>(
  programs: readonly P[],
  progress: Progress,
): Promise<KubeBinaries<P>> {
  const inOrder = KUBE_PROGRAMS.filter((program): program is P & KubeProgram =>
    (programs as readonly KubeProgram[]).includes(program),
  );
  const entries = inOrder.map((program) =>
    ensureProgram(program, progress).then((file) => [program, file] as const),
  );
  return Object.fromEntries(await Promise.all(entries)) as KubeBinaries<P>;
}

/** All of them: etcd, Kubernetes' own, kubectl, Helm and the program around kstatus; see {@link ensureKubePrograms}. */
export function ensureKubeBinaries(progress: Progress): Promise<KubeBinaries> {
  return ensureKubePrograms(KUBE_PROGRAMS, progress);
}
