// The port to the metrics of a node: what the engine counts and measures. Sizes in bytes, times in seconds.

export interface NodeMetrics {
  /** Limit wanted and limit in force for one CRIU file. */
  fileLimit(path: string, desiredBytes: number, effectiveBytes: number, inSync: boolean): void;
  fileWrite(path: string, result: 'Replaced' | 'Removed' | 'Failed'): void;
  drift(path: string): void;
  scanned(seconds: number, ghostFiles: number, largestBytes: number): void;
  checkpoint(runtime: string, result: 'Succeeded' | 'Failed', reason: string, seconds: number): void;
  policies(accepted: number, invalid: number): void;
  reconciled(seconds: number, result: 'success' | 'error'): void;
}
