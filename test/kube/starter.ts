// A process of its own that starts a lab and waits to be killed, and what it would leave behind.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCgroupHierarchies } from '../../hack/lab/cgroup-hierarchies.ts';
import { cacheFolder } from '../../hack/lab/root-cache.ts';

const KUBE = join(import.meta.dirname, '../../hack/kube');

/** Runs `import { NAME } from hack/kube/MODULE` and then the text, which prints one line when the lab is up. */
export function startStarter(module: string, name: string, text: string, mark: string): ChildProcess {
  const script = `import { ${name} } from ${JSON.stringify(join(KUBE, module))};\n${text}\nsetInterval(() => undefined, 1000);`;
  const argv = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', script];
  return spawn(process.execPath, argv, {
    env: { ...process.env, GHOSTLIMIT_TEST_MARK: mark },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

export async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'));
  }
  throw new Error(`the starter ended without a line: ${text}`);
}

/** Whether the process is there, a zombie not counted: whoever reaps it may be slow. */
export function isLive(pid: number | string): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Live processes whose environment or words hold `text`, this one left out. */
export function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid || !isLive(pid)) return false;
    try {
      return ['environ', 'cmdline'].some((file) =>
        readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(text),
      );
    } catch {
      return false;
    }
  });
}

export const cgroupsNamed = (name: string): string[] =>
  readCgroupHierarchies()
    .map(({ mountPoint }) => join(mountPoint, name))
    .filter((path) => existsSync(path));

/** Mounts of this machine that a lab made. */
export const mountsOfLabs = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(cacheFolder()) || line.includes('ghostlimit-lab'));
