// Real processes that hold files as a test wants: Python programs that say when they are ready and then wait. Ended by
// `endAll`, by pid, with their folders.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface HeldProcess {
  readonly pid: number;
  /** What the program printed before it was ready. */
  readonly output: string;
  readonly end: () => Promise<void>;
}

// Every program may use these; READY is said by `ready()`, which then waits for ever.
const PRELUDE = `
import ctypes, mmap, os, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def check(result, what):
    if result < 0: raise OSError(ctypes.get_errno(), what)
    return result
def ready():
    print("READY", flush=True)
    while True: time.sleep(1000)
def fork_child(work):
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        libc.prctl(1, 9)  # PR_SET_PDEATHSIG: the child must not outlive its parent
        os.write(send, b"x"); os.close(receive); os.close(send)
        work()
        while True: time.sleep(1000)
    os.read(receive, 1); os.close(receive); os.close(send)
    return child
def write(path, count):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"g" * count)
    return descriptor
`;

const running = new Set<ChildProcess>();
const folders = new Set<string>();

/** A new folder on the memory file system, where allocated bytes are whole pages and known beforehand, or on disk. */
export function makeFolder(place: 'memory' | 'disk' = 'memory'): string {
  const folder = mkdtempSync(join(place === 'memory' ? '/dev/shm' : tmpdir(), 'ghostlimit-test-'));
  folders.add(folder);
  return folder;
}

/** Runs a Python program that ends in `ready()`; resolves when it says so. */
export function holdWithPython(program: string, args: readonly string[] = []): Promise<HeldProcess> {
  return hold('python3', ['-c', PRELUDE + program, ...args]);
}

/** The same in a mount namespace of its own, which goes away with the process; `setup` is run there by sh first. Needs root. */
export function holdInMountNamespace(setup: string, program: string): Promise<HeldProcess> {
  if (process.getuid?.() !== 0) throw new Error('this test mounts file systems: run it as root');
  const script = `set -e; ${setup}; exec python3 -c "$0"`;
  return hold('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script, PRELUDE + program]);
}

/** Runs any program that prints READY once it holds what it should. */
export async function hold(command: string, args: readonly string[]): Promise<HeldProcess> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let output = '';
  let errors = '';
  const said = Promise.withResolvers<undefined>();
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString('latin1');
    if (output.includes('READY\n')) said.resolve(undefined);
  });
  child.stderr.on('data', (bytes: Buffer) => (errors += bytes.toString('utf8')));
  child.on('error', () => {
    said.reject(
      new Error(
        `${command} is needed to hold files for this test (Debian: apt-get install python3 util-linux)`,
      ),
    );
  });
  child.on('exit', () => {
    said.reject(new Error(`the process that should hold files ended: ${errors}`));
  });
  await said.promise;
  if (child.pid === undefined) throw new Error(`${command} has no pid`);
  return { pid: child.pid, output: output.replace('READY\n', ''), end: () => end(child) };
}

export async function endAll(): Promise<void> {
  await Promise.all([...running].map(end));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}

/** Runs a command of the host to its end; throws with its stderr. */
export function run(command: string, ...args: string[]): void {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${command} failed: ${result.error?.message ?? result.stderr}`);
}

async function end(child: ChildProcess): Promise<void> {
  running.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
