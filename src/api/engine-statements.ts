// What an engine says that several parts of the program must understand alike.

/**
 * The version check of containerd and CRI-O met a CRIU that ended by itself.
 * go-criu writes, then reads: which of the two fails, and how, depends on who is faster (both measured).
 */
export const CRIU_ENDED_AT_VERSION_CHECK = /criu version: (?:(?:read|write) criu-xprt-cln: |EOF)/;
