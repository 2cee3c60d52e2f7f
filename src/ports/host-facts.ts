// The port to what this host is: its name, its kernel, its CRIU.

export interface NodeFacts {
  readonly nodeName: string;
  /** `uname -r`. */
  readonly kernelVersion: string;
  /** As `criu --version` says, e.g. "4.2.1"; null: there is no criu in PATH; empty: it cannot be asked from here. */
  readonly criuVersion: string | null;
}

export interface HostFacts {
  read(): Promise<NodeFacts>;
}
