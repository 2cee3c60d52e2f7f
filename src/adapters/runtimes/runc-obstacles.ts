// Tells what stands in the way of checkpoints by runc on this host: CRIU, or how runc was built.
import type { RuntimeObstacle } from '../../ports/container-runtime.ts';
import { CommandNotFound } from '../../ports/process-runner.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { RuncFeatures } from './runc-answers.ts';

const TIMEOUT_MS = 10_000;

/** Asks criu and runc for their versions and features; empty: nothing found. */
export async function runcObstacles(runner: ProcessRunner): Promise<readonly RuntimeObstacle[]> {
  return [...(await criuObstacles(runner)), ...(await buildObstacles(runner))];
}

async function criuObstacles(runner: ProcessRunner): Promise<readonly RuntimeObstacle[]> {
  try {
    await runner.run('criu', ['--version'], { timeoutMs: TIMEOUT_MS });
    return [];
  } catch (error) {
    if (!(error instanceof CommandNotFound)) throw error;
    return [
      {
        reason: 'CriuMissing',
        message: 'criu is not in PATH, where runc looks for it.',
        hint: 'Install the package criu on this host.',
      },
    ];
  }
}

// runc 1.1 and newer say it (types/features of opencontainers/runc); older ones have no such command.
async function buildObstacles(runner: ProcessRunner): Promise<readonly RuntimeObstacle[]> {
  const { exitCode, stdout } = await runner.run('runc', ['features'], { timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0) return [];
  const parsed = RuncFeatures.safeParse(JSON.parse(stdout));
  const enabled = parsed.data?.annotations['org.opencontainers.runc.checkpoint.enabled'];
  if (enabled !== 'false') return [];
  return [
    {
      reason: 'RuntimeUnsupported',
      message: 'This runc was built without checkpoint support.',
      hint: 'Install a runc that was built with it (build tag runc_nocriu not set).',
    },
  ];
}
