import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createEngineEnvironments } from '../../../../src/adapters/proc/engine-environments.ts';

test('reads the two variables of daemons, and of nobody else', async () => {
  const proc = mkdtempSync(join(tmpdir(), 'proc-'));
  const put = (pid: string, comm: string, environ: string | null): void => {
    mkdirSync(join(proc, pid));
    writeFileSync(join(proc, pid, 'comm'), `${comm}\n`);
    if (environ !== null) writeFileSync(join(proc, pid, 'environ'), environ);
  };
  put('10', 'dockerd', 'PATH=/bin\0HOME=/root\0NOT_HOME=/x\0');
  put('11', 'containerd-shim', 'CRIU_CONFIG_FILE=/etc/criu=odd\0HOME=\0');
  put('12', 'bash', 'HOME=/home/mallory\0');
  put('13', 'containerd', null);
  mkdirSync(join(proc, 'self'));
  expect(await createEngineEnvironments(proc).read()).toEqual([
    { program: 'dockerd', pid: 10, home: '/root', criuConfigFile: null },
    { program: 'containerd-shim', pid: 11, home: '', criuConfigFile: '/etc/criu=odd' },
  ]);
  rmSync(proc, { recursive: true });
});
