// What one checkpoint is asked for with and what it is made of. Types only.
import type { OnGhostLimit, SkippableCheck } from '../../api/checkpoint-request.ts';
import type { PlanPolicy } from '../../api/checkpoint-plan.ts';
import type { NodeSettings } from '../../api/settings.ts';
import type { CheckpointArchives } from '../../ports/checkpoint-archives.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CheckpointCall } from '../../ports/container-runtime.ts';
import type { GhostScan, GhostScanner } from '../../ports/ghost-scanner.ts';
import type { HostFiles } from '../../ports/host-files.ts';
import type { Log } from '../../ports/log.ts';
import type { NodeMetrics } from '../../ports/node-metrics.ts';
import type { StateStore } from '../../ports/state-store.ts';
import type { CheckpointSubject } from '../checkpoint-subjects.ts';
import type { NodeDocuments } from '../documents.ts';
import type { EnforcedFiles } from '../node-engine.ts';

export interface CheckpointParts {
  readonly scanner: GhostScanner;
  readonly files: HostFiles;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: NodeMetrics;
  readonly settings: NodeSettings;
  readonly policies: readonly PlanPolicy[];
  /** As `criu --version` says; null: unknown. It decides which size of a file counts. */
  readonly criuVersion: string | null;
  /** Absent: nobody can tell how much space is free, and the dump finds out. */
  readonly archives?: Pick<CheckpointArchives, 'space'>;
}

export interface CheckpointOrder {
  readonly subject: CheckpointSubject;
  /** For this container, a second attempt included, milliseconds. */
  readonly timeoutMs: number;
  /** Default: RaiseOnce where an auto target matches, else Fail. */
  readonly onGhostLimit?: OnGhostLimit;
  readonly skipChecks?: readonly SkippableCheck[];
  /** How long the container may stand still before its kubelet restarts it, seconds; null or absent: nobody looks. */
  readonly tolerablePauseSeconds?: number | null;
  /** Runs before each call of the runtime, which is made as told and only if this resolves: where the caller notes what may come of it. */
  readonly beforeCall?: (call: CheckpointCall) => Promise<void>;
}

/** The files that CRIU reads for the container, the one with the last word first. */
export type ReadFiles = ReturnType<EnforcedFiles['readBy']>;

/** One checkpoint under the lock of the dump. */
export interface Dump {
  readonly order: CheckpointOrder;
  readonly parts: CheckpointParts;
  readonly documents: NodeDocuments;
  /** Of right before; null: there is none. */
  readonly scan: GhostScan | null;
}
