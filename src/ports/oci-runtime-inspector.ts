// The port to what the OCI runtimes of this host are and can do, found out from the programs themselves.
import type { Libcriu, OciRuntime } from '../api/criu-readers.ts';

export interface OciRuntimeInspector {
  /** `command`: a path or a name in PATH. null: there is no such program. */
  inspect(command: string): Promise<OciRuntime | null>;
  /** The library that crun would load; null: it is nowhere where crun would look for it. */
  findLibcriu(): Promise<Libcriu | null>;
  /** Hybrid: v1 with a v2 hierarchy beside it in /sys/fs/cgroup/unified. */
  cgroupMode(): Promise<'V1' | 'V2' | 'Hybrid'>;
}
