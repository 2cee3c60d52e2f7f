// One process that keeps the CRIU file of one disk, as the agent does it: the real state folder, locks, host files and enforcement. Decides nothing.
import * as fs from 'node:fs';
import * as posix from 'node:path/posix';
import type { FileReport } from '../../src/api/checkpoint-node.ts';
import { RUNC_CONF_PATH } from '../../src/api/names.ts';
import type { NODE_REASONS } from '../../src/api/node-reasons.ts';
import type { FileCalls } from '../../src/adapters/host/file-calls.ts';
import { createPosixHostFiles } from '../../src/adapters/host/posix-host-files.ts';
import { createStateFolder } from '../../src/adapters/host/state-folder.ts';
import { openDocuments, type NodeDocuments } from '../../src/node-engine/documents.ts';
import { enforce } from '../../src/node-engine/node-engine.ts';
import type { WantedLines } from '../../src/domain/policy/resolve.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { HostFiles } from '../../src/ports/host-files.ts';
import type { Log } from '../../src/ports/log.ts';
import type { NodeMetrics } from '../../src/ports/node-metrics.ts';

export interface DiskWriter {
  readonly documents: NodeDocuments;
  readonly files: HostFiles;
  /** Notes what is wanted, as a pass of the agent does first. Resolves when that is said to be durable. */
  want: (wish: WantedLines) => Promise<void>;
  /** The rest of a pass: the CRIU file, and what the report says of it. */
  enforce: () => Promise<FileReport>;
  /** Closes what the process has open, as its end does. */
  end: () => Promise<void>;
}

/** What tells one process, and one boot, from the next: locks of a process that is gone do not count. */
export class FakeBoots {
  readonly #folder: string;
  #boots = 0;
  #processes = 0;

  /** `folder` must not lie on the disk whose power is cut. */
  constructor(folder: string) {
    this.#folder = folder;
    this.reboot();
  }

  get procRoot(): string {
    return this.#folder;
  }

  reboot(): void {
    this.#boots += 1;
    const path = posix.join(this.#folder, 'sys/kernel/random/boot_id');
    fs.mkdirSync(posix.dirname(path), { recursive: true });
    fs.writeFileSync(path, `boot-${this.#boots}\n`);
    this.nextProcess();
  }

  nextProcess(): void {
    this.#processes += 1;
    const stat = `77 (writer) S ${'0 '.repeat(18)}${this.#processes} 0\n`;
    for (const name of ['self', '77']) {
      fs.mkdirSync(posix.join(this.#folder, name), { recursive: true });
      fs.writeFileSync(posix.join(this.#folder, name, 'stat'), stat);
    }
  }
}

export const STATE_DIRECTORY = '/var/lib/ghostlimit';
const silent = (): void => undefined;
const LOG: Log = { debug: silent, info: silent, warn: silent, error: silent };
const METRICS: NodeMetrics = {
  fileLimit: silent,
  fileWrite: silent,
  drift: silent,
  scanned: silent,
  checkpoint: silent,
  policies: silent,
  reconciled: silent,
};

/** Nobody is waited for here. */
const clock: Clock = { now: Date.now, monotonicMs: () => performance.now(), after: () => silent };

/** A new process on the disk mounted at `hostRoot`. */
export function startDiskWriter(hostRoot: string, boots: FakeBoots, calls: FileCalls): DiskWriter {
  boots.nextProcess();
  const files = createPosixHostFiles({ hostRoot, requireRootOwner: true, processes: null, calls });
  const directory = posix.join(hostRoot, STATE_DIRECTORY);
  const state = createStateFolder({ directory, procRoot: boots.procRoot, calls });
  const documents = openDocuments(state, LOG);
  return {
    documents,
    files,
    want: async ({ ghostLimitBytes, options }) => {
      const wanted = { ghostLimitBytes, options: [...options], decidedBy: 'default/trial' };
      const before = await documents.desired.read();
      if (JSON.stringify(before) !== JSON.stringify(wanted)) await documents.desired.write(wanted);
    },
    enforce: async () => {
      const { files: reports } = await enforce(
        { files, state, clock, log: LOG, metrics: METRICS },
        documents,
      );
      const report = reports.find(({ path }) => path === RUNC_CONF_PATH);
      if (report === undefined) throw new Error(`no report of ${RUNC_CONF_PATH}`);
      return report;
    },
    end: () => files.close(),
  };
}

/** The report says what came of the plan, and not that something failed. */
export function isCarriedOut({ state }: FileReport): boolean {
  const carriedOut: readonly (keyof typeof NODE_REASONS)[] = [
    ...(['InSync', 'ForeignLimitSuffices', 'OverriddenByForeignLine', 'ForeignLineInvalid'] as const),
  ];
  return carriedOut.some((reason) => reason === state);
}
