// What on this host would make every checkpoint, or those of some containers, fail: found without trying one.
import { printable } from '../api/printable.ts';
import type { ContainerRuntime } from '../ports/container-runtime.ts';
import type { EngineEnvironments } from '../ports/engine-environments.ts';
import type { HostFacts } from '../ports/host-facts.ts';
import type { HostFiles } from '../ports/host-files.ts';
import type { OciRuntimeInspector } from '../ports/oci-runtime-inspector.ts';
import { CommandNotFound, type ProcessRunner } from '../ports/process-runner.ts';
import { bad, fine, type Check } from './check.ts';
import { gatherCriuReaders } from './criu-readers.ts';
import { checkFiles } from './diagnose-files.ts';
import { checkAnnotations, checkCruns, checkEngines } from './diagnose-runtimes.ts';
import type { NodeDocuments } from './documents.ts';

export type { Check } from './check.ts';

export interface DiagnosisParts {
  readonly facts: HostFacts;
  readonly runner: ProcessRunner;
  readonly runtimes: readonly ContainerRuntime[];
  readonly ociRuntimes: OciRuntimeInspector;
  readonly environments: EngineEnvironments;
  readonly files: HostFiles;
  readonly documents: Pick<NodeDocuments, 'criuReaders'>;
}

const CRIU_CHECK_TIMEOUT_MS = 30_000;

/** Asks everything anew and changes nothing; which files are kept goes by the setting of the agent, or of the last apply. */
export async function diagnoseNode(parts: DiagnosisParts): Promise<readonly Check[]> {
  const { runtimes, ociRuntimes, facts, documents, runner } = parts;
  const setting = (await documents.criuReaders.read())?.files ?? 'auto';
  const readers = await gatherCriuReaders(setting, { runtimes, inspector: ociRuntimes, facts });
  return [
    await checkCriu(parts),
    ...(await checkEngines(runtimes, runner)),
    ...(await checkCruns(readers, ociRuntimes)),
    ...(await checkFiles(readers, parts)),
    await checkAnnotations(runtimes),
  ];
}

async function checkCriu({ facts, runner }: DiagnosisParts): Promise<Check> {
  const { criuVersion, kernelVersion } = await facts.read();
  if (criuVersion === null) return bad('criu', 'CriuMissing', 'no criu was found in PATH');
  try {
    // Its files are judged apart.
    const { exitCode, stdout, stderr } = await runner.run('criu', ['check', '--no-default-config'], {
      timeoutMs: CRIU_CHECK_TIMEOUT_MS,
    });
    if (exitCode === 0) return fine('criu', `CRIU ${criuVersion} works on Linux ${kernelVersion}`);
    const said = `${stderr}${stdout}`.trim().split('\n').at(-1) ?? '';
    return bad(
      'criu',
      'KernelTooNew',
      `CRIU ${criuVersion} does not work on Linux ${kernelVersion}: ${printable(said, 512)}`,
    );
  } catch (error) {
    if (error instanceof CommandNotFound) return bad('criu', 'CriuMissing', 'no criu was found in PATH');
    throw error;
  }
}
