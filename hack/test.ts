// Runs every check and every test, goes on after a failure, and ends with the line "N passed, N failed".
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureKubeTrees } from './kube/kube-trees.ts';
import { ensureLabTrees } from './lab/lab-trees.ts';

interface Tally {
  passed: number;
  failed: number;
}

const JEST = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
];
/** The lab's tests share one machine's CPUs with CRIU's own time-outs, so they run one file after the other. */
const JEST_RUNS: readonly (readonly [string, readonly string[]])[] = [
  ['unit and contract tests', ['--selectProjects', 'unit', 'contract']],
  ['lab tests: real CRIU, runc and Docker Engine', ['--selectProjects', 'lab', '--runInBand']],
  ['tests on a real Kubernetes of three nodes', ['--selectProjects', 'kube', '--runInBand']],
];
const CHECKS: readonly (readonly [string, readonly string[]])[] = [
  ['types', ['npm', 'run', '--silent', 'types']],
  ['lint and format', ['npm', 'run', '--silent', 'lint']],
  ['boundaries between the folders', ['npm', 'run', '--silent', 'boundaries']],
  ['generated files are up to date', ['npm', 'run', '--silent', 'verify']],
];
/** Needs Helm, which is built first. */
const LATE_CHECKS: typeof CHECKS = [
  ['manifests are what the chart gives', ['npm', 'run', '--silent', 'verify:manifests']],
];

const startedMs = performance.now();
const tell = (text: string): void => {
  process.stderr.write(`[${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s] ${text}\n`);
};

/** Its output goes where ours goes. */
function runs(argv: readonly string[]): boolean {
  const [command = '', ...args] = argv;
  return spawnSync(command, args, { stdio: 'inherit' }).status === 0;
}

/** A suite that does not even load, and a test that is skipped, count as failures. */
function runJest(args: readonly string[]): Tally {
  const folder = mkdtempSync(join(tmpdir(), 'ghostlimit-test-'));
  const outputFile = join(folder, 'result.json');
  try {
    const ok = runs([process.execPath, ...JEST, ...args, '--json', '--outputFile', outputFile]);
    const result = JSON.parse(readFileSync(outputFile, 'utf8')) as Record<string, number>;
    const failed = (result['numFailedTests'] ?? 0) + (result['numRuntimeErrorTestSuites'] ?? 0);
    const skipped = (result['numPendingTests'] ?? 0) + (result['numTodoTests'] ?? 0);
    return { passed: result['numPassedTests'] ?? 0, failed: Math.max(failed + skipped, ok ? 0 : 1) };
  } catch (error) {
    tell(`jest left no result: ${String(error)}`);
    return { passed: 0, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const tally: Tally = { passed: 0, failed: 0 };
const failures: string[] = [];
const count = (name: string, { passed, failed }: Tally): void => {
  tally.passed += passed;
  tally.failed += failed;
  if (failed > 0) failures.push(name);
};

function check(checks: typeof CHECKS): void {
  for (const [name, argv] of checks) {
    tell(name);
    const ok = runs(argv);
    count(name, { passed: ok ? 1 : 0, failed: ok ? 0 : 1 });
  }
}

check(CHECKS);
// Side by side: one mostly waits for downloads, the other mostly compiles.
const trees = await Promise.allSettled([ensureLabTrees(tell), ensureKubeTrees(tell)]);
for (const tree of trees) if (tree.status === 'rejected') throw tree.reason;
check(LATE_CHECKS);
for (const [name, args] of JEST_RUNS) {
  tell(name);
  count(name, runJest(args));
}
if (failures.length > 0) tell(`failed: ${failures.join('; ')}`);
tell('done');
process.stdout.write(`${tally.passed.toString()} passed, ${tally.failed.toString()} failed\n`);
process.exitCode = tally.failed === 0 && tally.passed > 0 ? 0 : 1;
