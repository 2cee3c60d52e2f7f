// A container runtime whose dumps take time and go on, or not, when their caller is killed.
import {
  RuntimeCheckpointError,
  type CheckpointArchive,
  type CheckpointCall,
} from '../../../../src/ports/container-runtime.ts';
import { FakeContainerRuntime } from '../../../fakes/fake-container-runtime.ts';
import type { FakeCheckpointArchives } from '../../../fakes/fake-checkpoint-archives.ts';
import type { VirtualTime } from '../../../fakes/virtual-time.ts';

export const DUMP_MS = 3_000;
const POD_UID = 'io.kubernetes.pod.uid';

/** What becomes of a dump whose caller was killed: it goes on; it is broken off; it is broken off while the archive is written. */
export type Fate = 'GoesOn' | 'BrokenOff' | 'CutShort';

export interface Dump {
  readonly containerId: string;
  readonly path: string;
  readonly atMs: number;
  endMs: number | null;
  outcome: 'Running' | 'Succeeded' | 'Failed' | 'BrokenOff';
  callerGone: boolean;
}

export class DumpingRuntime extends FakeContainerRuntime {
  readonly dumps: Dump[] = [];
  /** By container id; absent: succeeds. */
  readonly fails = new Set<string>();
  fate: Fate = 'GoesOn';
  /** Whether the API server knows that the pod is worked on. */
  isAnnounced: (podUID: string) => boolean = () => true;
  readonly faults: string[] = [];
  readonly #time: VirtualTime;
  readonly #archives: FakeCheckpointArchives;

  constructor(time: VirtualTime, archives: FakeCheckpointArchives) {
    super('containerd');
    this.#time = time;
    this.#archives = archives;
  }

  isFrozen(containerId: string): boolean {
    return this.dumps.some((dump) => dump.containerId === containerId && dump.outcome === 'Running');
  }

  /** Every caller was killed. */
  callerGone(): void {
    for (const dump of this.dumps) {
      if (dump.outcome !== 'Running') continue;
      dump.callerGone = true;
      if (this.fate !== 'GoesOn')
        this.#time.after(2_000, () => {
          this.#breakOff(dump);
        });
    }
  }

  #breakOff(dump: Dump): void {
    if (dump.outcome !== 'Running') return;
    dump.outcome = 'BrokenOff';
    dump.endMs = this.#time.monotonicMs();
    if (this.fate === 'CutShort') this.#put(dump, 'is cut short');
  }

  override checkpoint(call: CheckpointCall): Promise<CheckpointArchive> {
    const { container, archiveDirectory, checkpointName } = call;
    const { id, labels } = container;
    if (!this.isAnnounced(labels[POD_UID] ?? '')) this.faults.push(`${id} was not announced`);
    if (this.dumps.some(({ outcome }) => outcome === 'Running'))
      this.faults.push(`${id} beside another dump`);
    const atMs = this.#time.monotonicMs();
    const last = this.dumps.findLast(({ containerId }) => containerId === id)?.endMs ?? null;
    if (last !== null && atMs - last < 2_000) this.faults.push(`${id} again after ${atMs - last} ms`);
    const path = `${archiveDirectory}/${id}/${checkpointName}.tar`;
    const dump: Dump = { containerId: id, path, atMs, endMs: null, outcome: 'Running', callerGone: false };
    this.dumps.push(dump);
    return new Promise((resolve, reject) => {
      this.#time.after(DUMP_MS, () => {
        if (dump.outcome !== 'Running') return;
        dump.endMs = this.#time.monotonicMs();
        if (this.fails.has(id)) {
          dump.outcome = 'Failed';
          reject(new RuntimeCheckpointError('it does not work', { timedOut: false, dumpLog: null }));
          return;
        }
        dump.outcome = 'Succeeded';
        this.#put(dump, null);
        resolve({ path, sizeBytes: 1000 });
      });
    });
  }

  #put({ path, containerId }: Dump, fault: string | null): void {
    // A file system's clock is a little behind.
    const modifiedMs = this.#time.now() - 3;
    this.#archives.put(path, { modifiedMs, fault, identity: fault === null ? { containerId } : {} });
  }
}
