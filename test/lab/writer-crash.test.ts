// The writer as a real process under strace: every file call fails in every way, or is the last one that the process makes. Needs root and strace, no lab node.
// Afterwards the file is the original or the wanted one, byte for byte, CRIU takes it, and a second, undisturbed pass ends well and leaves no temporary file.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildSync } from 'esbuild';
import { execFileSync, spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as posix from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { createPosixHostFiles } from '../../src/adapters/host/posix-host-files.ts';
import { judgeCriuConf } from '../../src/domain/criu-conf/judge.ts';
import { withManagedBlock } from '../../src/domain/criu-conf/managed-block.ts';
import { planFile } from '../../src/domain/criu-conf/plan-file.ts';

const PATH = '/etc/criu/runc.conf';
const SOURCE = fileURLToPath(new URL('../../hack/crash/write-once.ts', import.meta.url));
const CALLS =
  'statx,openat,newfstatat,getdents64,pread64,write,fchown,fchmod,fsync,close,link,rename,unlink,mkdir,rmdir,readlink';
const AT_ONCE = 2;

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const FOREIGN = latin1('ghost-limit 2M\r\n# \xff not UTF-8\nfile-locks');
const managed = (limit: bigint): Uint8Array =>
  withManagedBlock(FOREIGN, { ghostLimitBytes: limit, options: ['TcpEstablished'] });

interface Scenario {
  readonly name: string;
  /** null: neither file nor directory. */
  readonly original: Uint8Array | null;
  readonly wanted: Uint8Array | null;
  readonly limit: bigint | null;
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'changing a block', original: managed(3_145_728n), wanted: managed(5_000_000n), limit: 5_000_000n },
  {
    name: 'making file and directory',
    original: null,
    wanted: withManagedBlock(new Uint8Array(), { ghostLimitBytes: 5_000_000n, options: ['TcpEstablished'] }),
    limit: 5_000_000n,
  },
  {
    name: 'removing file and directory',
    original: withManagedBlock(new Uint8Array(), { ghostLimitBytes: 5_000_000n, options: [] }),
    wanted: null,
    limit: null,
  },
];

/**
 * strace counts calls per thread. Node opens for reading on the main thread and creates in its pool (of one), so the temporary file is watched apart from the rest:
 * within a group all calls of one name come from one thread, and the n-th is the same in each run.
 */
type Group = 'temporary file' | 'all else';

/** A file call of a clean run: the `count`-th of its name in its group. */
interface Call {
  readonly group: Group;
  readonly name: string;
  readonly count: number;
}

interface Injection extends Call {
  /** As strace takes it: `error=EIO`, `signal=KILL`, `retval=7`. */
  readonly what: string;
}

interface RunResult {
  readonly killed: boolean;
  readonly outcome: string;
  readonly code: string | null;
  readonly trace: string;
}

let folder = '';
let program = '';
let serial = 0;

beforeAll(() => {
  execFileSync('strace', ['-V']); // a machine without strace fails here, and says so
  folder = fs.mkdtempSync(posix.join(os.tmpdir(), 'writer-crash-'));
  program = posix.join(folder, 'write-once.mjs');
  buildSync({ entryPoints: [SOURCE], bundle: true, platform: 'node', format: 'esm', outfile: program });
});

afterAll(() => {
  fs.rmSync(folder, { recursive: true });
});

function makeRoot({ original }: Scenario): string {
  const root = posix.join(folder, `root-${(serial += 1)}`);
  fs.mkdirSync(posix.join(root, 'etc'), { recursive: true });
  if (original === null) return root;
  fs.mkdirSync(posix.join(root, 'etc/criu'));
  fs.writeFileSync(posix.join(root, PATH), original);
  fs.chownSync(posix.join(root, PATH), 0, 12);
  return root;
}

function pathsOf(root: string, { original, wanted }: Scenario, group: Group): readonly string[] {
  const directory = posix.join(root, 'etc/criu');
  if (group === 'temporary file') return [temporaryOf(directory)];
  const paths = [root, posix.dirname(directory), directory, posix.join(root, PATH)];
  return original === null ? paths : [...paths, secondNameOf(directory, original, wanted)];
}

/** Of the file that is replaced, while that is done. */
function secondNameOf(directory: string, original: Uint8Array, wanted: Uint8Array | null): string {
  const short = (content: Uint8Array): string => hash('sha256', content, 'hex').slice(0, 16);
  const successor = wanted === null ? 'gone' : short(wanted);
  return posix.join(directory, `.ghostlimit-runc.conf.${short(original)}-${successor}-00000000.old`);
}

function run(root: string, scenario: Scenario, injection: Injection | Group): Promise<RunResult> {
  const paths = pathsOf(root, scenario, typeof injection === 'string' ? injection : injection.group);
  const trace = `${root}.trace`;
  const inject =
    typeof injection === 'string'
      ? []
      : ['-e', `inject=${injection.name}:${injection.what}:when=${injection.count}`];
  const wish = scenario.limit === null ? ['none'] : [scenario.limit.toString(), 'TcpEstablished'];
  const args = [
    ...[
      '-f',
      '-qq',
      '-o',
      trace,
      '-e',
      `trace=${CALLS}`,
      ...inject,
      ...paths.flatMap((path) => ['-P', path]),
    ],
    ...[process.execPath, program, root, PATH, ...wish],
  ];
  return new Promise((resolve) => {
    const child = spawn('strace', args, { env: { ...process.env, UV_THREADPOOL_SIZE: '1' } });
    let output = '';
    let errors = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
    child.on('close', (_code, signal) => {
      const killed = signal === 'SIGKILL';
      const last = { outcome: killed ? 'Killed' : `no answer: ${errors}`, code: null };
      const answer = output === '' ? last : (JSON.parse(output) as { outcome: string; code: string | null });
      resolve({
        killed,
        outcome: answer.outcome,
        code: answer.code ?? null,
        trace: fs.readFileSync(trace, 'utf8'),
      });
    });
  });
}

function temporaryOf(directory: string): string {
  return posix.join(directory, '.ghostlimit-runc.conf.0000000000000000.tmp');
}

/** What strace saw, in order, as the n-th call of each name. */
function callsOf(trace: string, group: Group): readonly Call[] {
  const counts = new Map<string, number>();
  return trace.split('\n').flatMap((line) => {
    const name = /^\d+ +([a-z0-9]+)\(/.exec(line)?.[1];
    if (name === undefined) return [];
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return [{ group, name, count: counts.get(name) ?? 0 }];
  });
}

/** All at once on two cores, in the order given. */
async function inParallel<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++)
      results[index] = await act(items[index] as T);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

function contentOf(root: string): Uint8Array | null {
  const path = posix.join(root, PATH);
  return fs.existsSync(path) ? new Uint8Array(fs.readFileSync(path)) : null;
}

const shown = (content: Uint8Array | null): string | null =>
  content === null ? null : Buffer.from(content).toString('latin1');

/** The same pass, undisturbed. */
async function passAgain(root: string, scenario: Scenario): Promise<void> {
  const files = createPosixHostFiles({ hostRoot: root, requireRootOwner: true, processes: null });
  await files.recover(PATH);
  const snapshot = await files.read(PATH);
  const { action } = planFile({
    path: PATH,
    content: snapshot.content,
    directoryPresent: snapshot.directoryPresent,
    desired: { ghostLimitBytes: scenario.limit, options: scenario.limit === null ? [] : ['TcpEstablished'] },
    judge: judgeCriuConf,
    origin: { hadFile: false, hadDirectory: false },
  });
  if (action.kind === 'Write') await files.replace(snapshot, action.content);
  if (action.kind === 'Remove') await files.remove(snapshot, action);
  await files.close();
}

interface Aftermath {
  readonly injection: string;
  readonly fault: string | null;
}

/** Runs one case and looks at what it left; `fault` null: all is well. */
async function tryInjection(scenario: Scenario, injection: Injection): Promise<Aftermath> {
  const root = makeRoot(scenario);
  const result = await run(root, scenario, injection);
  const faults = [...faultsAfter(root, scenario, injection, result)];
  await passAgain(root, scenario);
  if (shown(contentOf(root)) !== shown(scenario.wanted)) faults.push('the second pass did not end well');
  const expectedNames = scenario.wanted === null ? null : ['runc.conf'];
  const directory = posix.join(root, 'etc/criu');
  const names = fs.existsSync(directory) ? fs.readdirSync(directory) : null;
  if (JSON.stringify(names) !== JSON.stringify(expectedNames)) faults.push(`left: ${JSON.stringify(names)}`);
  const injected = `${injection.name} ${injection.count} ${injection.what}`;
  return {
    injection: injected,
    fault: faults.length === 0 ? null : `${faults.join('; ')} (${result.outcome})`,
  };
}

/** What must hold after any run, whatever was injected. */
function faultsAfter(
  root: string,
  scenario: Scenario,
  injection: Injection,
  { killed, outcome, trace }: RunResult,
): readonly string[] {
  const content = contentOf(root);
  const isOriginal = shown(content) === shown(scenario.original);
  const isWanted = shown(content) === shown(scenario.wanted);
  const saidDone = ['Replaced', 'Removed', 'Absent'].includes(outcome);
  const leftTemporary = fs.existsSync(temporaryOf(posix.join(root, 'etc/criu')));
  const checks: readonly (readonly [holds: boolean, fault: string])[] = [
    [/\(INJECTED\)|killed by SIGKILL/.test(trace), 'nothing was injected'],
    [killed === (injection.what === 'signal=KILL'), 'the process did not end as it should'],
    [isOriginal || isWanted, `the file is neither: ${JSON.stringify(shown(content))}`],
    [content === null || judgeCriuConf(content).verdict === 'Accepted', 'CRIU refuses the file'],
    [!saidDone || isWanted, 'said to be done, but is not'],
    [killed || saidDone || outcome === 'Failed', 'neither done nor failed'],
    [killed || !leftTemporary || injection.name === 'unlink', 'a temporary file is left'],
  ];
  return checks.filter(([holds]) => !holds).map(([, fault]) => fault);
}

const WRITING = [
  'openat',
  'write',
  'fchown',
  'fchmod',
  'fsync',
  'close',
  'link',
  'rename',
  'unlink',
  'mkdir',
  'rmdir',
];
const ERRORS = ['ENOSPC', 'EIO', 'EROFS', 'EBUSY', 'EPERM', 'EACCES', 'EINTR'];

/**
 * A kill at every call; all errors at every call that changes something, once, and EIO where it comes again; reading calls are many and alike: EIO and EACCES at
 * every fifth. A write that takes only 7 bytes, or none, of what it says.
 */
function injectionsFor(calls: readonly Call[]): readonly Injection[] {
  return calls.flatMap((call, index) => {
    const first = call.count === 1 || call.name === 'fsync' || call.name === 'openat';
    const writing = first ? ERRORS : ['EIO'];
    const reading = index % 5 === 0 ? ['EIO', 'EACCES'] : [];
    const errors = (WRITING.includes(call.name) ? writing : reading).map((name) => `error=${name}`);
    const short = call.name === 'write' ? ['retval=7', 'retval=0'] : [];
    return ['signal=KILL', ...errors, ...short].map((what) => ({ ...call, what }));
  });
}

describe.each(SCENARIOS)('$name', (scenario) => {
  test('survives every failure and every kill at every file call', async () => {
    const calls: Call[] = [];
    for (const group of ['temporary file', 'all else'] as const) {
      const root = makeRoot(scenario);
      const clean = await run(root, scenario, group);
      expect(shown(contentOf(root))).toBe(shown(scenario.wanted));
      calls.push(...callsOf(clean.trace, group));
    }
    expect(calls.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['fsync', 'openat', 'statx', scenario.original === null ? 'link' : 'pread64']),
    );

    const injections = injectionsFor(calls);
    const results = await inParallel(injections, (injection) => tryInjection(scenario, injection));
    expect(results.filter(({ fault }) => fault !== null)).toEqual([]);
    expect(results.length).toBeGreaterThan(80);
  });
});
