// What this host is: names and versions from the kernel and from criu itself.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostFacts } from '../../ports/host-facts.ts';
import { CommandNotFound, type ProcessRunner } from '../../ports/process-runner.ts';

const CRIU_TIMEOUT_MS = 10_000;
const CANNOT_BE_ASKED = '';

/** `runner` null: programs of the host cannot be run from here. */
export function createHostFacts(runner: ProcessRunner | null, procRoot = '/proc'): HostFacts {
  return {
    read: async () => ({
      nodeName: await readKernelName(procRoot, 'hostname'),
      kernelVersion: await readKernelName(procRoot, 'osrelease'),
      criuVersion: runner === null ? CANNOT_BE_ASKED : await readCriuVersion(runner),
    }),
  };
}

async function readKernelName(procRoot: string, name: 'hostname' | 'osrelease'): Promise<string> {
  return (await readFile(join(procRoot, 'sys/kernel', name), 'utf8')).trim();
}

/** Without its files: with an unknown option in one of them CRIU does not even tell its version (measured, 4.2.1). CRIU before 3.11 has neither files nor that flag. */
async function readCriuVersion(runner: ProcessRunner): Promise<string | null> {
  const ask = async (flags: readonly string[]): Promise<string | undefined> => {
    const { stdout } = await runner.run('criu', [...flags, '--version'], { timeoutMs: CRIU_TIMEOUT_MS });
    return /^Version: (\S+)/m.exec(stdout)?.[1];
  };
  try {
    return (await ask(['--no-default-config'])) ?? (await ask([])) ?? null;
  } catch (error) {
    if (error instanceof CommandNotFound) return null;
    throw error;
  }
}
