// Runs a wired controller: the caches in every replica, the loops in the one that leads.
import { randomUUID } from 'node:crypto';
import { CONTROLLER_NAME } from '../api/names.ts';
import { createLeaderElection } from '../machinery/leader-election.ts';
import { createLeaseWatch } from '../machinery/lease-watch.ts';
import { runManager } from '../machinery/manager.ts';
import type { ControllerParts, WiredController } from './wiring.ts';

/** Every replica keeps the caches, so that the next leader knows all; one of them works. */
export async function runController(
  parts: ControllerParts,
  wired: WiredController,
  signal: AbortSignal,
): Promise<void> {
  const lease = { namespace: parts.namespace, name: CONTROLLER_NAME };
  const electionParts = { ...parts, api: parts.kube };
  await runManager(
    parts,
    {
      caches: wired.reflectors,
      always: [],
      leaderOnly: wired.controllers,
      elect: (work) => {
        const election = createLeaderElection(electionParts, {
          lease,
          // Not even the same pod after a restart may take itself for the one before.
          identity: `${parts.instance}_${randomUUID()}`,
          onStartedLeading: async (leading) => {
            parts.log.info('leading');
            await work(leading);
          },
          onStoppedLeading: () => {
            parts.log.info('not leading any more');
          },
        });
        void createLeaseWatch(electionParts, lease, election).run(signal);
        return election;
      },
    },
    signal,
  );
}
