// `ghostlimit apply`: one pass of the node engine over a folder of policies, or our lines taken away. Nothing goes on running.
import type { CheckpointNodeStatus } from '../../api/checkpoint-node.ts';
import { createNodeEngine, type NodeEngineParts } from '../../node-engine/node-engine.ts';
import { ENGINE_LOCK, openDocuments } from '../../node-engine/documents.ts';
import { LockHeld, type StateStore } from '../../ports/state-store.ts';
import { CommandFailure, EXIT, type ExitCode, type Output } from '../output.ts';
import { showReport } from './status.ts';

/** Exit 1 when what the policies ask for is not in force, or a policy is invalid: the report says why. */
export async function apply(parts: NodeEngineParts, output: Output): Promise<ExitCode> {
  const report = await withEngineLock(parts.state, async () => {
    const engine = createNodeEngine(parts);
    const { report: first } = await engine.reconcile();
    return (await engine.scanDue()) ? (await engine.reconcile()).report : first;
  });
  showReport(report, output);
  return isFine(report) ? EXIT.fine : EXIT.failed;
}

/** `parts` has no policies and no base limit, so that the engine wants nothing. */
export async function remove(parts: NodeEngineParts, output: Output): Promise<ExitCode> {
  const report = await withEngineLock(parts.state, async () => {
    const documents = openDocuments(parts.state, parts.log);
    await documents.desired.remove();
    await documents.lastGoodPlan.remove();
    // Whoever starts anew may do so with another engine.
    await documents.knownRuntimes.remove();
    return (await createNodeEngine(parts).reconcile()).report;
  });
  showReport(report, output);
  return report.files.some(({ managed }) => managed) || !isFine(report) ? EXIT.failed : EXIT.fine;
}

function isFine({ conditions, problems }: CheckpointNodeStatus): boolean {
  return (
    problems.length === 0 &&
    conditions.every(({ type, status }) => type !== 'ConfigInSync' || status === 'True')
  );
}

async function withEngineLock<T>(state: StateStore, work: () => Promise<T>): Promise<T> {
  const lock = await state.lock(ENGINE_LOCK, 0).catch((error: unknown) => {
    if (!(error instanceof LockHeld)) throw error;
    throw new CommandFailure(
      `an agent is running on this host (process ${error.pid.toString()}): change its policies folder, or stop it first`,
    );
  });
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
