// The port to the workloads of this node: pods and their containers, or containers of a host that stand for pods.

export interface WorkloadContainer {
  readonly name: string;
  readonly kind: 'Regular' | 'Sidecar' | 'Init' | 'Ephemeral';
  /** The runtime's id; null: not created yet. */
  readonly id: string | null;
  /** Of the init process in the host's pid namespace; null: not running or not known. */
  readonly pid: number | null;
  /** As in RuntimeContainer; absent: not known. */
  readonly criuConfigAnnotation?: string | null;
}

export interface Workload {
  readonly namespace: string;
  readonly podName: string;
  readonly podUID: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** The controlling owner; null on a host without Kubernetes. */
  readonly owner: { readonly apiGroup: string; readonly kind: string; readonly name: string } | null;
  readonly containers: readonly WorkloadContainer[];
}

export interface WorkloadSource {
  /** Every workload that counts now: scheduled or running, not finished. Rejects when it cannot be told: then what is known stays. */
  read(): Promise<readonly Workload[]>;
  watch(onChange: () => void, signal: AbortSignal): void;
}
