// One build at a time on this machine: a lock file in the cache folder that the kernel lets go when its holder dies,
// however it dies. It holds no data.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ended, forEachLine } from '../lab/program.ts';
import { cacheFolder } from '../lab/root-cache.ts';

const PATIENCE_MS = 1000;

/**
 * Runs `action` while this process holds the lock `name`; others wait as long as it takes. `onWait` is called once
 * when another process holds it. Rejects as the action does, and when flock(1) is missing. The caller may not ask for
 * a lock that it holds.
 */
export async function withBuildLock<T>(
  name: string,
  onWait: () => void,
  action: () => Promise<T>,
): Promise<T> {
  const folder = cacheFolder();
  mkdirSync(folder, { recursive: true });
  const script = 'echo held; exec cat > /dev/null';
  const argv = ['--exclusive', join(folder, `${name}.lock`), 'sh', '-c', script];
  const holder = spawn('flock', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const told = setTimeout(onWait, PATIENCE_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      holder.on('error', reject);
      holder.on('exit', (code) => {
        reject(new Error(`flock ended with ${String(code)} before it had the lock ${name}`));
      });
      forEachLine(holder.stdout, () => {
        resolve();
      });
    });
    clearTimeout(told);
    return await action();
  } finally {
    clearTimeout(told);
    holder.stdin.end();
    await Promise.race([ended(holder), sleep(PATIENCE_MS, undefined, { ref: false })]);
  }
}
