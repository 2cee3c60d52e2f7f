// Programs for containers that hold deleted files open: what CRIU calls ghost files. Each is argv for a busybox shell.

/** Sizes are in bytes of allocated blocks; tmpfs and ext4 allocate whole pages of 4096. */
export interface HeldFile {
  /** The path inside the container before it was deleted. */
  path: string;
  bytes: number;
}

/**
 * Makes what {@link waitFor} waits at. No program that is to be dumped again and again starts others meanwhile, not even `sleep`: where cgroup v1
 * freezes it between fork and exit of one, CRIU waits in vain for 10 s ("Unseizable non-zombie", measured, once in 60 dumps on a loaded machine).
 */
export const MAKE_WAITING_PLACE = 'mkfifo /tmp/nothing';

/** Words of a shell's loop: waits so many seconds, without end if none are given, within the shell itself. */
export const waitFor = (seconds?: number): string =>
  `read ${seconds === undefined ? '' : `-t ${seconds} `}nothing <> /tmp/nothing`;

/** Words of a shell: counts in /tmp/counter, for ever, a step each so many seconds. The file is written in place and never empty once it is there. */
export const countEach = (seconds: number): string =>
  `n=0; while :; do n=$((n+1)); printf "%010d\\n" $n 1<> /tmp/counter; ${waitFor(seconds)}; done`;

/**
 * Opens each file on its own descriptor from 3 on, fills it with zeros, deletes it, then writes "ready" to
 * /tmp/ready and ticks a counter into /tmp/counter each second.
 */
export function ghostHolder(files: readonly HeldFile[]): string[] {
  const holds = files.map(
    ({ path, bytes }, index) =>
      `exec ${index + 3}<>${path}; head -c ${bytes} /dev/zero >&${index + 3}; rm ${path}`,
  );
  const say = 'echo ready > /tmp/ready';
  return ['/bin/sh', '-c', [MAKE_WAITING_PLACE, ...holds, say, countEach(1)].join('; ')];
}

const LIBRARY_FOLDERS: Partial<Record<string, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
};

/** A library of 2.7 MB that every JVM image has and that loads alone: what GhostJvm copies, loads and deletes. */
export const JNI_LIBRARY = `/usr/lib/${LIBRARY_FOLDERS[process.arch] ?? process.arch}/libstdc++.so.6`;

/** Starts /GhostJvm.java of the JVM image (see docker.ts), small and quick: its first "tick" comes after about 0.9 s. */
export const GHOST_JVM: readonly string[] = [
  ...['java', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xmx64m', '/GhostJvm.java'],
  JNI_LIBRARY,
];

/** Where {@link ghostLadderHolder} finds its files. */
export const HOLD_FOLDER = '/hold';

/** Keeps every file of /hold open, by name order from descriptor 3 on, so that they can be deleted and resized outside. */
export function ghostLadderHolder(): string[] {
  return ['/bin/sh', '-c', `exec tail -f -s 1000000 ${HOLD_FOLDER}/*`];
}
