// `npm run demo` as a user runs it, and what is left when it is killed: nothing.
import { describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCgroupHierarchies } from '../../hack/lab/cgroup-hierarchies.ts';
import { cacheFolder } from '../../hack/lab/root-cache.ts';

const ROOT = join(import.meta.dirname, '../..');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The keepers of its nodes, when it was killed. */
  readonly keepers: readonly number[];
}

/** Runs the demo; `until`: SIGKILL to it as soon as it has said that. */
function runDemo(until?: RegExp): Promise<Ended> {
  const child = spawn(process.execPath, ['hack/demo.ts'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let keepers: readonly number[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (until?.test(stderr) !== true || child.killed) return;
    keepers = keepersOf(child.pid ?? 0);
    child.kill('SIGKILL');
  });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      resolve({ code, stdout, stderr, keepers });
    });
  });
}

/** Directories of these keepers' labs in the cgroup hierarchies. */
const cgroupsOf = (keepers: readonly number[]): string[] =>
  readCgroupHierarchies()
    .flatMap(({ mountPoint }) => keepers.map((pid) => join(mountPoint, `ghostlimit-lab-${pid.toString()}`)))
    .filter((path) => existsSync(path));
const labMounts = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(cacheFolder()) || line.includes('ghostlimit-lab'));

/** Pids of the keepers that this process started. */
function keepersOf(starter: number): number[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      const isKeeper = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('ghostlimit-lab-keeper');
      return parent === starter && isKeeper ? [Number(pid)] : [];
    } catch {
      return [];
    }
  });
}

async function eventuallyEqual<T>(look: () => T, wanted: T): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  while (JSON.stringify(look()) !== JSON.stringify(wanted) && Date.now() < giveUpAt) await sleep(50);
  expect(look()).toEqual(wanted);
}

describe('npm run demo', () => {
  test('shows the failure, the policy, the line, the checkpoint, the report, and the file as it was', async () => {
    const { code, stdout, stderr } = await runDemo();
    expect({ code, tail: stderr.split('\n').slice(-3) }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/criu failed: type DUMP errno 0/);
    expect(stdout).toMatch(
      /Can't dump ghost file \/tmp\/libnetty_tcnative_linux_x86_64\d+\.so of \d+ size, increase limit/,
    );
    expect(stdout).toMatch(/^ {4}ghost-limit 4194304$/m);
    expect(stdout).toMatch(/checkout: checkpointed in [\d.]+ s/);
    expect(stdout).toMatch(/default\/checkout +jvm +InForce/);
    expect(stderr).toMatch(/byte for byte what it was/);
    expect(stderr).toMatch(/the JVM runs on: tick \d+/);
  });

  test('leaves no cgroup and no mount behind when it is killed in the middle', async () => {
    const { code, keepers } = await runDemo(/docker checkpoint create/);
    expect({ code, keepers }).toEqual({ code: null, keepers: [expect.any(Number)] });
    await eventuallyEqual(() => ({ cgroups: cgroupsOf(keepers), mounts: labMounts() }), {
      cgroups: [],
      mounts: [],
    });
  });
});
