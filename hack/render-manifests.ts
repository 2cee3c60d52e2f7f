// Renders charts/ghostlimit with the lab's own helm into deploy/*.yaml. `--check` fails when they are out of date.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureKubePrograms } from './kube/kube-binaries.ts';

const root = join(import.meta.dirname, '..');
const { helm } = await ensureKubePrograms(['helm'], (line) => {
  process.stderr.write(`${line}\n`);
});

const home = mkdtempSync(join(tmpdir(), 'ghostlimit-helm-'));
try {
  const rendered = run(helm, [
    'template',
    'ghostlimit',
    'charts/ghostlimit',
    '--namespace',
    'ghostlimit-system',
  ]);
  run(process.execPath, ['src/codegen/manifests.ts', ...process.argv.slice(2)], rendered);
} finally {
  rmSync(home, { recursive: true, force: true });
}

/** Its stdout. Ends this program with its exit code when that is not 0. */
function run(program: string, args: readonly string[], input = ''): string {
  const { status, stdout } = spawnSync(program, args, {
    cwd: root,
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home },
  });
  if (status !== 0) {
    rmSync(home, { recursive: true, force: true });
    process.exit(status ?? 1);
  }
  return stdout;
}
