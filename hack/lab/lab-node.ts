// A throwaway node: a Debian system with CRIU and the engines in namespaces of its own. Nothing of it outlives the
// process that started it, however that process ends.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { readCgroupHierarchies } from './cgroup-hierarchies.ts';
import type { CgroupHierarchy } from './cgroup-hierarchies.ts';
import { ensureNodeRoot } from './node-root.ts';
import type { NodeRelease, Progress } from './node-root.ts';
import { ENTER, INIT, KEEPER, OPEN_ONCE, REPLACE_FILE } from './node-scripts.ts';
import { ended, forEachLine, runProgram } from './program.ts';
import type { ProgramResult } from './program.ts';

/** Where the project's folder is inside a node, read-only. */
export const PROJECT_INSIDE = '/opt/ghostlimit';
const PROJECT = resolve(dirname(import.meta.filename), '../..');
const INSIDE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Engines keep containers in overlays, which cannot lie on the node's own overlay. */
const TMPFS = [
  '/run',
  '/tmp',
  '/var/lib/docker',
  '/var/lib/containerd',
  '/var/lib/containers',
  '/var/lib/kubelet',
];
/** Far beyond what a loaded machine takes. The keeper's own tries to clean up end before the latter. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 120_000;

export interface Bind {
  /** A file or folder of this machine. */
  from: string;
  /** Its absolute path in the node. */
  to: string;
  readOnly: boolean;
}

export interface LabNodeOptions {
  /** Host name inside; `lab` when absent. */
  name?: string;
  /** The Debian release of its root; sid when absent. */
  release?: NodeRelease;
  binds?: readonly Bind[];
  progress: Progress;
}

export interface InsideOptions {
  input?: string | Uint8Array;
  /** Added to PATH, HOME and LANG, which is all a program inside gets. */
  env?: Record<string, string>;
  cwd?: string;
}

export interface ExecOptions extends InsideOptions {
  timeoutMs?: number;
}

export interface ExecResult {
  /** 128 + signal after a signal, as a shell has it; 127 when there is no such program. */
  code: number;
  stdout: string;
  stderr: string;
  timedOut: boolean;
}

export interface LabNode {
  /** Runs a program inside to its end; never throws for its exit code. */
  exec: (argv: readonly string[], options?: ExecOptions) => Promise<ExecResult>;
  /** As exec, but throws with stderr unless the program exits 0. Gives stdout. */
  run: (argv: readonly string[], options?: ExecOptions) => Promise<string>;
  /** A long-running program inside. SIGKILL to the child, and the node's end, end it; other signals go to `pgrep` users. */
  spawn: (argv: readonly string[], options?: Omit<InsideOptions, 'input'>) => ChildProcess;
  /** The bytes of a file inside, which is opened once; null when it does not exist. Symlinks are the node's own. */
  readFile: (path: string) => Promise<Buffer | null>;
  /** Puts a file inside in one step (mode 0644 and root's if new, else as it was), making the folders above it. */
  writeFile: (path: string, bytes: string | Uint8Array) => Promise<void>;
  /** The node's root as this machine sees it. Absolute symlinks in it lead back to the machine: only for plain paths. */
  rootPath: string;
  /** Pid of the node's init, in this machine's count. */
  initPid: number;
  /** Name of the node's directory in each cgroup hierarchy of this machine. */
  cgroupName: string;
  /** Ends all of it; returns when processes, mounts and cgroups are gone. Calling it again does nothing. */
  stop: () => Promise<void>;
}

function nodeBinary(): string {
  const own = join(PROJECT, 'node_modules', `node-linux-${process.arch}`, 'bin/node');
  return existsSync(own) ? own : process.execPath;
}

const cgroupLine = (hierarchy: CgroupHierarchy): string =>
  [hierarchy.mountPoint, hierarchy.insidePath, hierarchy.mountOptions, hierarchy.version].join('\t');

function bindLine({ from, to, readOnly }: Bind): string {
  const fields = [readOnly ? 'ro' : 'rw', resolve(from), to];
  if (fields.some((field) => /[\t\n]/.test(field)))
    throw new Error(`A bind path must not hold tabs or newlines: ${from} ${to}`);
  return fields.join('\t');
}

interface Started {
  keeper: ChildProcess;
  initPid: number;
}

/** Starts keeper and node; rejects with what they said when the node does not get ready. */
function startKeeper(env: Record<string, string>): Promise<Started> {
  const keeper = spawn('bash', ['-c', KEEPER, 'ghostlimit-lab-keeper'], {
    detached: true,
    cwd: '/',
    env: { PATH: `${process.env['PATH'] ?? ''}:${INSIDE_PATH}`, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return new Promise((resolvePromise, reject) => {
    const said: string[] = [];
    let initPid = 0;
    const fail = (why: string): void => {
      clearTimeout(timer);
      keeper.stdin.end();
      reject(new Error(`The lab node did not start: ${why}\n${said.slice(-8).join('\n')}`));
    };
    const timer = setTimeout(() => {
      fail(`not ready after ${START_TIMEOUT_MS / 1000} s`);
    }, START_TIMEOUT_MS);
    keeper.on('error', (error) => {
      fail(error.message);
    });
    keeper.stdin.on('error', () => undefined);
    forEachLine(keeper.stderr, (line) => said.push(line));
    forEachLine(keeper.stdout, (line) => {
      if (line.startsWith('pid ')) initPid = Number(line.slice(4));
      if (line !== 'ready') return;
      clearTimeout(timer);
      resolvePromise({ keeper, initPid });
    });
    // Only the node's init holds this pipe then: its end is the node's end.
    keeper.stdout.on('end', () => {
      fail('its init ended');
    });
  });
}

/**
 * Enters the node's namespaces and its cgroup, then becomes argv. Dies with nsenter, which dies with whoever kills it: also when that was before setpriv
 * asked for it, as the parent is then the node's init and no longer the one outside, which counts as 0.
 */
function insideArgv(
  initPid: number,
  hierarchies: readonly CgroupHierarchy[],
  argv: readonly string[],
  cwd: string,
): string[] {
  const joins = hierarchies.map(
    ({ version, insidePath }) => `${insidePath}${version === 2 ? '/init' : ''}/cgroup.procs`,
  );
  const script = `[ $PPID = 0 ] || exit 137; for f in ${joins.join(' ')}; do echo 0 > $f; done; cd "$1" && shift && exec "$@"`;
  return [
    ...['nsenter', `--target=${initPid}`, '--mount', '--net', '--pid', '--uts', '--ipc', '--cgroup'],
    ...['setpriv', '--pdeathsig', 'KILL', '/bin/sh', '-c', script, 'lab', cwd, ...argv],
  ];
}

const insideEnv = (env: Record<string, string> = {}): Record<string, string> => ({
  PATH: INSIDE_PATH,
  HOME: '/root',
  LANG: 'C.UTF-8',
  ...env,
});

/**
 * Starts a node; 0.2 s when its root is cached. Throws with what is missing: not root, no package mirror on the first
 * time, no overlay or namespaces in the kernel.
 */
export async function startLabNode({
  name = 'lab',
  release = 'sid',
  binds = [],
  progress,
}: LabNodeOptions): Promise<LabNode> {
  if (process.getuid?.() !== 0)
    throw new Error('The lab needs root (namespaces, mounts, CRIU): run it again as root.');
  const root = await ensureNodeRoot(progress, release);
  const hierarchies = readCgroupHierarchies();
  const allBinds: Bind[] = [
    { from: PROJECT, to: PROJECT_INSIDE, readOnly: true },
    { from: nodeBinary(), to: '/usr/local/bin/node', readOnly: true },
    ...binds,
  ];
  const { keeper, initPid } = await startKeeper({
    LAB_ROOT: root,
    LAB_NAME: name,
    LAB_PATH: INSIDE_PATH,
    LAB_TMPFS: TMPFS.join(' '),
    LAB_BINDS: allBinds.map(bindLine).join('\n'),
    LAB_CGROUPS: hierarchies.map(cgroupLine).join('\n'),
    LAB_ENTER: ENTER,
    LAB_INIT: INIT,
  });
  progress(`lab node ${name} is up (init is pid ${initPid})`);
  const enter = (argv: readonly string[], cwd = '/'): string[] => insideArgv(initPid, hierarchies, argv, cwd);
  return {
    ...insidePrograms(enter),
    rootPath: `/proc/${initPid}/root`,
    initPid,
    cgroupName: `ghostlimit-lab-${keeper.pid ?? 0}`,
    stop: () => stopKeeper(keeper),
  };
}

function insidePrograms(
  enter: (argv: readonly string[], cwd?: string) => string[],
): Pick<LabNode, 'exec' | 'run' | 'spawn' | 'readFile' | 'writeFile'> {
  const raw = (argv: readonly string[], { cwd, env, ...rest }: ExecOptions = {}): Promise<ProgramResult> =>
    runProgram(enter(argv, cwd), { ...rest, env: insideEnv(env) });
  const succeed = async (argv: readonly string[], options?: ExecOptions): Promise<Buffer> => {
    const { code, stdout, stderr, timedOut } = await raw(argv, options);
    if (code === 0) return stdout;
    const how = timedOut ? `did not end within ${options?.timeoutMs ?? 0} ms` : `exited with ${code}`;
    throw new Error(
      `${argv.join(' ').slice(0, 300)} (in the lab node) ${how}:\n${stderr || stdout.toString('utf8')}`,
    );
  };
  return {
    exec: async (argv, options) => {
      const result = await raw(argv, options);
      return { ...result, stdout: result.stdout.toString('utf8') };
    },
    run: async (argv, options) => (await succeed(argv, options)).toString('utf8'),
    spawn: (argv, { env, cwd } = {}) => {
      const [file = '', ...args] = enter(argv, cwd);
      return spawn(file, args, { env: insideEnv(env), stdio: ['pipe', 'pipe', 'pipe'] });
    },
    readFile: async (path) => {
      const bytes = await succeed([...OPEN_ONCE, path, 'cat']);
      return bytes.length === 0 ? null : bytes.subarray(1);
    },
    writeFile: async (path, bytes) => {
      await succeed(['sh', '-c', REPLACE_FILE, 'write', path], { input: bytes });
    },
  };
}

/** Throws with CRIU's own words unless CRIU can work on this machine's kernel (`criu check`, 20 ms). */
export async function requireCriu(node: LabNode): Promise<void> {
  const { code, stdout, stderr } = await node.exec(['criu', 'check']);
  if (code === 0) return;
  throw new Error(
    `CRIU cannot work on this machine's kernel; it needs CONFIG_CHECKPOINT_RESTORE and root with all capabilities. It said:\n${(stdout + stderr).trim().slice(-800)}`,
  );
}

async function stopKeeper(keeper: ChildProcess): Promise<void> {
  keeper.stdin?.end();
  const late = new Promise<'late'>((resolvePromise) => {
    setTimeout(() => {
      resolvePromise('late');
    }, STOP_TIMEOUT_MS).unref();
  });
  if ((await Promise.race([ended(keeper), late])) !== 'late') return;
  throw new Error(
    `The lab node's keeper (pid ${keeper.pid ?? 0}) has not cleaned up after ${STOP_TIMEOUT_MS / 1000} s.`,
  );
}
