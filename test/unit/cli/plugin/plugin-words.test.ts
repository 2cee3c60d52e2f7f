// The program as kubectl starts it: another process, by the name of the plugin.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isKubectlPlugin } from '../../../../src/cli/plugin/is-kubectl-plugin.ts';
import { runGhostlimit, type Run } from '../run-ghostlimit.ts';

const MAIN = join(import.meta.dirname, '../../../../src/main.ts');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostlimit-plugin-'));
  symlinkSync(MAIN, join(folder, 'kubectl-ghostlimit'));
  // Nothing listens on port 1.
  const contexts = [{ name: 'here', context: { cluster: 'c', user: 'u', namespace: 'shop' } }];
  const clusters = [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }];
  const config = { clusters, contexts, users: [{ name: 'u', user: {} }], 'current-context': 'here' };
  writeFileSync(join(folder, 'config'), JSON.stringify(config));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** With that kubeconfig unless `env` says otherwise; the home folder is empty. */
function runPlugin(words: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(folder, 'kubectl-ghostlimit'), ...words],
    {
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'],
        HOME: join(folder, 'home'),
        KUBECONFIG: join(folder, 'config'),
        ...env,
      },
    },
  );
  return { exitCode: status, stdout, stderr };
}

test.each<[string, readonly string[], string, boolean]>([
  ['a link of npm', ['node', '/usr/bin/kubectl-ghostlimit'], 'node', true],
  ['the bundle', ['node', '/opt/dist/kubectl-ghostlimit.mjs'], 'node', true],
  ['one file, called by a link', ['/opt/ghostlimit', '/opt/ghostlimit'], 'kubectl-ghostlimit', true],
  ['the program of hosts', ['node', '/usr/bin/ghostlimit'], 'node', false],
  ['a folder of that name', ['node', '/kubectl-ghostlimit/ghostlimit.mjs'], 'node', false],
  ['no words', [], '', false],
])('the plugin by its name: %s', (_sentence, argv, argv0, isPlugin) => {
  expect(isKubectlPlugin(argv, argv0)).toBe(isPlugin);
});

describe('the help', () => {
  test('tells which commands are of the cluster and which of this host', () => {
    const { exitCode, stdout } = runPlugin(['--help']);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Usage: kubectl ghostlimit [options] [command]');
    const [, inCluster = '', onHost = ''] =
      /In the cluster:\n(.*)On this host alone:\n(.*)$/s.exec(stdout) ?? [];
    const named = (text: string) => [...text.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name);
    expect(named(inCluster)).toEqual(['checkpoint']);
    expect(named(onHost)).toEqual(
      expect.arrayContaining(['lint', 'scan', 'doctor', 'apply', 'status', 'agent']),
    );
  });

  test('of checkpoint: its flags and exit codes, and none of those of a host', () => {
    const { exitCode, stdout } = runPlugin(['checkpoint', '--help']);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Usage: kubectl ghostlimit checkpoint [options] <pod>');
    for (const flag of [
      '-n, --namespace',
      '--context',
      '--kubeconfig',
      '-c, --container',
      '--wait',
      '--timeout',
      '--container-timeout',
      '--start-deadline',
      '--on-ghost-limit',
      '--skip-checks',
      '--keep-archive',
      '-o, --output',
      'Exit codes: 0',
    ])
      expect(stdout).toContain(flag);
    expect(stdout).not.toContain('--docker-socket');
  });

  test('called ghostlimit, checkpoint is the one of this host', () => {
    expect(runGhostlimit('checkpoint', '--help').stdout).toContain('--docker-socket');
  });

  test('other commands work as ever', () => {
    const file = join(folder, 'runc.conf');
    writeFileSync(file, 'ghost-limit = 3145728\n');
    expect(runPlugin(['lint', file]).exitCode).toBe(3);
  });
});

describe('wrong words: exit 2, the reason on standard error, nothing on standard output', () => {
  test.each<[string, string[], string]>([
    ['no pod', ['checkpoint'], "missing required argument 'pod'"],
    ['two pods', ['checkpoint', 'a', 'b'], 'too many arguments'],
    ['a name that is none', ['checkpoint', 'Web_0'], '"Web_0" cannot be the name of a pod'],
    ['another kind', ['checkpoint', 'deploy/web'], 'is taken of a pod, not of a deploy'],
    ['a namespace that is none', ['checkpoint', 'a', '-n', 'A'], '"A" cannot be the name of a namespace'],
    ['a container that is none', ['checkpoint', 'a', '-c', 'x,Y'], '"Y" cannot be the name of a container'],
    ['an empty container', ['checkpoint', 'a', '-c', 'x,'], 'must be names, with commas between'],
    [
      'an output that is not there',
      ['checkpoint', 'a', '-o', 'xml'],
      'Allowed choices are table, json, name',
    ],
    ['a time that is none', ['checkpoint', 'a', '--wait', '--timeout', '5d'], 'must be a duration up to 24h'],
    ['a time over a day', ['checkpoint', 'a', '--wait', '--timeout', '25h'], 'must be a duration up to 24h'],
    ['a time and no waiting', ['checkpoint', 'a', '--timeout', '5s'], '--timeout says how long --wait waits'],
    [
      'no time for a container',
      ['checkpoint', 'a', '--container-timeout', '0'],
      'whole seconds from 1 to 600',
    ],
    [
      '601 s for a container',
      ['checkpoint', 'a', '--container-timeout', '601s'],
      'whole seconds from 1 to 600',
    ],
    ['half seconds', ['checkpoint', 'a', '--start-deadline', '1.5s'], 'whole seconds from 1 to 86400'],
    [
      'another way out',
      ['checkpoint', 'a', '--on-ghost-limit', 'Raise'],
      'Allowed choices are RaiseOnce, Fail',
    ],
    [
      'an unknown check',
      ['checkpoint', 'a', '--skip-checks', 'Pause'],
      'must be one of FreeSpace, PredictedPause',
    ],
  ])('%s', (_sentence, words, message) => {
    const { exitCode, stdout, stderr } = runPlugin(words);
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
    expect(exitCode).toBe(2);
  });

  test('the advice names the plugin', () => {
    expect(runPlugin(['chekpoint']).stderr).toContain('(see kubectl ghostlimit --help)');
  });
});

describe('no way to a cluster: exit 1, and what to do', () => {
  const ADVICE =
    'name a kubeconfig with --kubeconfig or KUBECONFIG; "kubectl config get-contexts" lists its contexts';

  test.each<[string, string[], Record<string, string>, string]>([
    [
      'no kubeconfig at all',
      [],
      { KUBECONFIG: '' },
      `there is no kubeconfig: KUBECONFIG is not set, and ~/.kube/config is not there: ${ADVICE}`,
    ],
    ['a file that is not there', ['--kubeconfig', '/nowhere/config'], {}, "open '/nowhere/config'"],
    [
      'KUBECONFIG that is not there',
      [],
      { KUBECONFIG: '/nowhere/1:/nowhere/2' },
      `there is no kubeconfig: KUBECONFIG names no file that is there (/nowhere/1:/nowhere/2): ${ADVICE}`,
    ],
    [
      'an unknown context',
      ['--context', 'there'],
      {},
      `the kubeconfig has no context named "there": ${ADVICE}`,
    ],
    [
      'nobody listens',
      [],
      {},
      'ghostlimit: the API server does not answer: POST /apis/ghostlimit.dev/v1alpha1/namespaces/shop/checkpointrequests: connect ECONNREFUSED 127.0.0.1:1: nothing was created; check --context and --kubeconfig, and try "kubectl cluster-info"',
    ],
    [
      'nobody listens, by flags',
      ['--context', 'here', '-n', 'other'],
      {},
      '/namespaces/other/checkpointrequests: connect ECONNREFUSED 127.0.0.1:1: nothing was created; check --context and --kubeconfig, and try "kubectl --context here cluster-info"',
    ],
  ])('%s', (_sentence, words, env, message) => {
    const { exitCode, stdout, stderr } = runPlugin(['checkpoint', 'web-0', ...words], env);
    expect(stderr).toContain(message);
    expect([exitCode, stdout]).toEqual([1, '']);
  });
});
