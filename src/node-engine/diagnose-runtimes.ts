// What of container engines and OCI runtimes on this host would make checkpoints fail, found without trying one.
import { CRIU_CONFIG_ANNOTATION } from '../api/names.ts';
import type { CriuReaders, UsedOciRuntime } from '../api/criu-readers.ts';
import { printable } from '../api/printable.ts';
import { printRuntime } from '../domain/criu-conf/file-chain.ts';
import { RuntimeUnavailable, type ContainerRuntime, type RuntimeProbe } from '../ports/container-runtime.ts';
import type { OciRuntimeInspector } from '../ports/oci-runtime-inspector.ts';
import { CommandNotFound, type ProcessRunner } from '../ports/process-runner.ts';
import { bad, fine, type Check } from './check.ts';
import { gatherContainers } from './runtime-workloads.ts';

const VERSION_TIMEOUT_MS = 10_000;

/** One check for each engine that answers; one that says so when none does. */
export async function checkEngines(
  runtimes: readonly ContainerRuntime[],
  runner: ProcessRunner,
): Promise<Check[]> {
  const probes = await Promise.all(runtimes.map((runtime) => probeOrWhy(runtime)));
  const present = probes.filter((probe) => typeof probe !== 'string');
  const podman = await checkPodmanService(runtimes, present, runner);
  if (present.length === 0) {
    const why = probes.filter((probe) => typeof probe === 'string').join('; ');
    return [bad('runtime', 'RuntimeUnavailable', `no container engine answers: ${why}`), ...podman];
  }
  const checks = present.flatMap(({ runtime, version, ociRuntime, obstacles }) =>
    obstacles.length === 0
      ? [fine(runtime, [version, ociRuntime].filter(Boolean).join(', '))]
      : obstacles.map(({ reason, message, hint }) => bad(runtime, reason, message, hint)),
  );
  return [...checks, ...podman];
}

async function probeOrWhy(runtime: ContainerRuntime): Promise<RuntimeProbe | string> {
  try {
    return await runtime.probe();
  } catch (error) {
    if (error instanceof RuntimeUnavailable) return `${runtime.name}: ${error.message}`;
    throw error;
  }
}

/** Podman works without its service, so that it is often not there: then its containers are not seen. */
async function checkPodmanService(
  runtimes: readonly ContainerRuntime[],
  present: readonly RuntimeProbe[],
  runner: ProcessRunner,
): Promise<Check[]> {
  const asked = runtimes.some(({ name }) => name === 'podman');
  if (!asked || present.some(({ runtime }) => runtime === 'podman')) return [];
  try {
    await runner.run('podman', ['--version'], { timeoutMs: VERSION_TIMEOUT_MS });
  } catch (error) {
    if (error instanceof CommandNotFound) return [];
    throw error;
  }
  const how = 'where containers of Podman matter, start it ("systemctl enable --now podman.socket")';
  return [
    fine(
      'podman',
      `is installed, but its service does not answer, so that its containers are not seen: ${how}`,
    ),
  ];
}

/** What a crun of this host lacks. Other runtimes tell of themselves in the probes of their engines. */
export async function checkCruns(readers: CriuReaders, inspector: OciRuntimeInspector): Promise<Check[]> {
  const cruns = readers.ociRuntimes.filter(({ kind }) => kind === 'crun');
  if (cruns.length === 0) return [];
  const mode = await inspector.cgroupMode();
  return cruns.map((crun) => checkCrun(crun, readers, mode));
}

function checkCrun(
  crun: UsedOciRuntime,
  { libcriu }: CriuReaders,
  mode: Awaited<ReturnType<OciRuntimeInspector['cgroupMode']>>,
): Check {
  const name = printRuntime(crun);
  if (crun.builtWithCriu === false)
    return bad(
      name,
      'RuntimeUnsupported',
      'this crun was built without CRIU ("crun --version" does not list +CRIU)',
      'Install a crun that was built with it, or use runc.',
    );
  if (libcriu === null)
    return bad(
      name,
      'CriuMissing',
      'crun takes checkpoints through libcriu.so.2, which is not where it would look for it',
      'Install libcriu (Debian: libcriu2, Fedora: criu-libs).',
    );
  if (mode === 'Hybrid')
    return bad(
      name,
      'RuntimeUnsupported',
      'crun does not work with cgroups v1 and v2 side by side',
      'Boot with systemd.unified_cgroup_hierarchy=1, or use runc.',
    );
  const reads = libcriu.takesFileName && crun.namesFile ? 'can name a CRIU file' : 'cannot name a CRIU file';
  return fine(name, `loads ${libcriu.path}, ${reads}`);
}

/** Containers that read none of the kept files. */
export async function checkAnnotations(runtimes: readonly ContainerRuntime[]): Promise<Check> {
  const name = 'annotations';
  const { containers } = await gatherContainers(runtimes);
  const odd = containers.filter(({ criuConfigAnnotation }) => criuConfigAnnotation !== null);
  if (odd.length === 0)
    return fine(name, `no container has its own CRIU file by the annotation ${CRIU_CONFIG_ANNOTATION}`);
  const list = odd
    .slice(0, 5)
    .map(
      (container) =>
        `${printable(container.name, 64)} reads ${printable(container.criuConfigAnnotation || 'no file', 256)}`,
    );
  return bad(
    name,
    'HiddenByAnnotation',
    `${odd.length.toString()} container(s) read neither runc.conf nor crun.conf: ${list.join(', ')}`,
  );
}
