// What the builds of Kubernetes say when they cannot work, and that one waits for the other.
import { afterAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forEachLine } from '../../hack/lab/program.ts';
import { eventually } from './eventually.ts';

const KUBE = join(import.meta.dirname, '../../hack/kube');
const folder = mkdtempSync(join(tmpdir(), 'ghostlimit-build-test-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A process that runs `text` with a cache folder of its own; what it printed, line by line. */
function start(text: string, env: Record<string, string> = {}): { child: ChildProcess; lines: string[] } {
  const argv = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', text];
  const child = spawn(process.execPath, argv, {
    env: { ...process.env, XDG_CACHE_HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  forEachLine(child.stdout, (line) => lines.push(line));
  return { child, lines };
}

const printed = (lines: readonly string[], line: string): Promise<true> =>
  eventually(`"${line}"`, () => Promise.resolve(lines.includes(line) ? true : null));

describe('a build that cannot work', () => {
  const text = `import { ensureKubePrograms } from ${JSON.stringify(join(KUBE, 'kube-binaries.ts'))};
    await ensureKubePrograms(['etcd'], () => undefined).catch((error) => console.log(JSON.stringify(error.message)));
    console.log('end');`;

  test('says that Go is missing', async () => {
    const { lines } = start(text, { PATH: '' });
    await printed(lines, 'end');
    expect(lines[0]).toMatch(/etcd .* is built from its Go module, but there is no Go: install Go/);
  });

  test('says that modules cannot be fetched, and leaves nothing half', async () => {
    const modules = join(folder, 'modules');
    mkdirSync(modules);
    const { lines } = start(text, { GOPROXY: 'off', GOMODCACHE: modules });
    await printed(lines, 'end');
    expect(lines[0]).toMatch(/Go could not build etcd .*see to Go's settings \(go env GOPROXY\)/);
    expect(lines[0]).toContain('module lookup disabled by GOPROXY=off');
    expect(readdirSync(join(folder, 'ghostlimit'))).toEqual(['kube-build.lock']);
  });
});

describe('two builds', () => {
  const text = `import { withBuildLock } from ${JSON.stringify(join(KUBE, 'build-lock.ts'))};
    await withBuildLock('test', () => console.log('waits'), async () => {
      console.log('holds');
      await new Promise((resolve) => setTimeout(resolve, Number(process.env.HOLD_MS)));
    });
    console.log('done');`;

  test('do not run at once; the death of one lets the other go on', async () => {
    const first = start(text, { HOLD_MS: '600000' });
    await printed(first.lines, 'holds');
    const second = start(text, { HOLD_MS: '0' });
    await printed(second.lines, 'waits');
    expect(second.lines).toEqual(['waits']);
    first.child.kill('SIGKILL');
    await printed(second.lines, 'done');
    expect(second.lines).toEqual(['waits', 'holds', 'done']);
  });
});
