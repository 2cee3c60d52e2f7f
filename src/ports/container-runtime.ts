// The port to one container runtime of the node: what runs, with which init process, and how a checkpoint is taken.
import type { ReasonCode } from '../api/reasons.ts';

/** Engines of a host, in the order in which they are asked when nobody says which. "containerd" is whatever answers the CRI. */
export const RUNTIME_NAMES = ['docker', 'podman', 'containerd', 'runc'] as const;
export type HostRuntimeName = (typeof RUNTIME_NAMES)[number];
/** In a cluster there is another way to the same containers: the API of the node's kubelet. */
export type RuntimeName = HostRuntimeName | 'kubelet';

export interface RuntimeContainer {
  readonly runtime: RuntimeName;
  readonly id: string;
  /** Without a leading slash; the id where the runtime knows no names (runc). */
  readonly name: string;
  readonly state: 'Running' | 'Paused' | 'Created' | 'Stopped';
  /** Of the init process, in the host's pid namespace; null when none runs. */
  readonly pid: number | null;
  readonly labels: Readonly<Record<string, string>>;
  /** The OCI annotation org.criu.config; null: not set. Set means that runc does not read runc.conf for this container. */
  readonly criuConfigAnnotation: string | null;
  /** How to run the OCI runtime that made it: a path or a name in PATH; absent: the default one of the engine. */
  readonly ociRuntime?: string;
}

export interface RuntimeProbe {
  readonly runtime: RuntimeName;
  /** e.g. "docker://28.5.2", "runc://1.3.6". */
  readonly version: string;
  /** The OCI runtime below and its version, e.g. "runc 1.3.6"; null: could not be told. */
  readonly ociRuntime: string | null;
  /** How to run that OCI runtime: a path or a name in PATH; null: could not be told. */
  readonly ociRuntimeCommand: string | null;
  /** Why checkpoints cannot work here at all; empty: nothing found. */
  readonly obstacles: readonly RuntimeObstacle[];
}

export interface RuntimeObstacle {
  readonly reason: ReasonCode;
  readonly message: string;
  readonly hint: string;
}

export interface CheckpointCall {
  readonly container: RuntimeContainer;
  /** Name of the new checkpoint, ^[a-zA-Z0-9][a-zA-Z0-9_.-]+$, unique per container. */
  readonly checkpointName: string;
  /** Where runtimes without a store of their own put it (made if missing, 0700). */
  readonly archiveDirectory: string;
  readonly timeoutMs: number;
}

export interface CheckpointArchive {
  readonly path: string;
  readonly sizeBytes: number;
}

/** What the runtime said when a checkpoint failed. Raw text: classify and escape before it is shown. */
export class RuntimeCheckpointError extends Error {
  override readonly name = 'RuntimeCheckpointError';
  readonly timedOut: boolean;
  /** CRIU's dump.log, only when it was written by this very call (newer than its start); null otherwise. */
  readonly dumpLog: { readonly path: string; readonly text: string } | null;
  constructor(message: string, details: { timedOut: boolean; dumpLog: RuntimeCheckpointError['dumpLog'] }) {
    super(message);
    this.timedOut = details.timedOut;
    this.dumpLog = details.dumpLog;
  }
}

/** The runtime did not answer or answered nonsense: no statement about the container. */
export class RuntimeUnavailable extends Error {
  override readonly name = 'RuntimeUnavailable';
}

export interface ContainerRuntime {
  readonly name: RuntimeName;
  /** Rejects with RuntimeUnavailable when the runtime is not there. */
  probe(): Promise<RuntimeProbe>;
  /** All containers, running or not. */
  list(): Promise<readonly RuntimeContainer[]>;
  /** By full id, unique id prefix or name; null: unknown. */
  find(idOrName: string): Promise<RuntimeContainer | null>;
  /** Calls `onChange` after containers started or stopped (may be spurious), until `signal` aborts; reconnects by itself. */
  watch(onChange: () => void, signal: AbortSignal): void;
  /**
   * Takes one checkpoint and leaves the container running. Resolves with the archive; rejects with RuntimeCheckpointError. When the time is up the call is
   * given up, but the promise settles only after the runtime is done with the container (its process or request has ended), so that nobody meets a frozen one.
   */
  checkpoint(call: CheckpointCall): Promise<CheckpointArchive>;
}
