// The port to policies written by users into files of this host.

/** One file: the YAML or JSON documents in it, parsed but not checked, or why it cannot be read. */
export interface PolicyFile {
  /** File name without its folder. */
  readonly name: string;
  readonly content: { readonly documents: readonly unknown[] } | { readonly problem: string };
}

export interface PolicyFolder {
  /** Every *.yaml, *.yml and *.json file of the folder (not of folders below, no hidden files), sorted by name; or the one file that was named. Rejects when the folder itself cannot be read. */
  read(): Promise<readonly PolicyFile[]>;
  /** Calls `onChange` after files were added, changed or removed, until `signal` aborts. */
  watch(onChange: () => void, signal: AbortSignal): void;
}
