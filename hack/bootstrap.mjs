// What runs before anything is installed, on any Node from 20 on: installs the packages when they are missing or old, builds the product, and goes on with the project's own Node 24.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const stamp = join(root, 'node_modules', '.ghostlimit-installed');

/** @param {string} message what is missing and what to do */
export function giveUp(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Installs when package-lock.json changed since the last time; then builds dist/. Says so on stderr. */
export function ensureInstalled() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const present = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
  if (present !== wanted) {
    process.stderr.write('installing npm packages (npm ci)\n');
    run(
      'npm',
      ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
      'npm ci failed: is the npm registry reachable from here? See the lines above.',
    );
    writeFileSync(stamp, wanted);
  }
  run(nodeBinary(), ['hack/build.ts'], 'the build failed: see the lines above.');
}

/** The project's own Node 24; there after ensureInstalled. */
export function nodeBinary() {
  return join(root, 'node_modules', '.bin', 'node');
}

function run(command, args, failure) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error !== undefined || status !== 0)
    giveUp(error === undefined ? failure : `${failure} (${error.message})`);
}

/** Goes on with `script` on Node 24, as this process: same terminal, signals handed on, its exit code ours. */
export function continueWith(script, args) {
  const path = `${join(root, 'node_modules', '.bin')}:${process.env.PATH ?? ''}`;
  const child = spawn(nodeBinary(), [script, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 9));
  });
}
