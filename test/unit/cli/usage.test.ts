import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runGhostlimit } from './run-ghostlimit.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostlimit-cli-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('wrong words: exit 2, the reason on standard error, nothing on standard output', () => {
  test.each<[string, string[], string]>([
    ['an unknown command', ['lnit'], "unknown command 'lnit'"],
    ['an unknown flag', ['lint', '--json', 'x'], "unknown option '--json'"],
    ['lint without a file', ['lint'], "missing required argument 'file'"],
    ['an output that is not there', ['lint', '-o', 'yaml', 'x'], 'Allowed choices are table, json'],
    ['a pid that is none', ['scan', '--pid', '1x'], 'must be the number of a process'],
    ['pid 0', ['scan', '--pid', '0'], 'must be the number of a process'],
    [
      'a pid and a container',
      ['scan', '--pid', '1', '--container', 'x'],
      "'--pid <pid>' cannot be used with option '--container <name>'",
    ],
    ['another runtime', ['scan', '--runtime', 'rkt'], 'Allowed choices are'],
    ['checkpoint of nothing', ['checkpoint'], "missing required argument 'container|pod'"],
    [
      'a time-out of 601 s',
      ['checkpoint', 'x', '--timeout', '601'],
      'must be a whole number of seconds from 1 to 600',
    ],
    [
      'a time-out of 0',
      ['checkpoint', 'x', '--timeout', '0'],
      'must be a whole number of seconds from 1 to 600',
    ],
    [
      'another way with the ghost-limit',
      ['checkpoint', 'x', '--on-ghost-limit', 'Raise'],
      'Allowed choices are RaiseOnce, Fail',
    ],
    [
      'a check that cannot be skipped',
      ['checkpoint', 'x', '--skip-checks', 'FreeSpace,ConfigInvalid'],
      'must be one of FreeSpace, PredictedPause',
    ],
    ['apply of nothing', ['apply'], 'apply needs -f DIR or FILE, or --remove'],
    ['apply and remove', ['apply', '-f', 'x', '--remove'], 'cannot be used with option'],
    [
      'a setting that is no size',
      ['apply', '-f', 'x', '--max-ghost-limit', '3MB'],
      '--max-ghost-limit: "3MB": is not a quantity: write "3Mi"',
    ],
    [
      'an option that does not exist',
      ['apply', '-f', 'x', '--allowed-criu-options', 'FileLocks,libdir'],
      '--allowed-criu-options: "libdir": must be one of TcpEstablished,',
    ],
    [
      'a base over the cap',
      ['apply', '-f', 'x', '--base-ghost-limit', '2Gi'],
      '--base-ghost-limit: 2147483648: must not be over maxGhostLimit (1073741824)',
    ],
    [
      'a relative folder',
      ['apply', '-f', 'x', '--archives-directory', 'a'],
      '--archives-directory: "a": must be an absolute path',
    ],
    [
      'the agent without a word on where it runs',
      ['agent', '--policies', 'x'],
      '--standalone or --node-name is missing',
    ],
    [
      'the agent without policies',
      ['agent', '--standalone'],
      '--policies is missing: name the folder with the CheckpointPolicy files',
    ],
    [
      'an address without a port',
      ['agent', '--standalone', '--policies', 'x', '--listen', 'localhost'],
      '"localhost" is not an address: write host:port, such as 127.0.0.1:9808',
    ],
    [
      'another log level',
      ['agent', '--standalone', '--policies', 'x', '--log-level', 'trace'],
      'Allowed choices are debug, info, warn, error',
    ],
    ['one word too many', ['agent', 'start', '--standalone'], 'too many arguments'],
  ])('%s', (_sentence, words, message) => {
    const { exitCode, stdout, stderr } = runGhostlimit(...words);
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
    expect(exitCode).toBe(2);
  });

  test('no word at all: the help', () => {
    const { exitCode, stderr } = runGhostlimit();
    expect(stderr).toContain('Usage: ghostlimit');
    expect(exitCode).toBe(2);
  });
});

test.each([[['--help']], [['lint', '--help']], [['agent', '--help']], [['--version']]])(
  '%s: exit 0',
  (words) => {
    const { exitCode, stdout } = runGhostlimit(...words);
    expect(stdout).not.toBe('');
    expect(exitCode).toBe(0);
  },
);

test('the help names every command', () => {
  const { stdout } = runGhostlimit('--help');
  for (const name of ['lint', 'scan', 'doctor', 'apply', 'status', 'checkpoint', 'agent'])
    expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
});

describe('status', () => {
  test('without a report: exit 1, and what to do', () => {
    const { exitCode, stdout, stderr } = runGhostlimit('status', '--status-file', join(folder, 'none.json'));
    expect(stderr).toMatch(
      /^ghostlimit: there is no report in .*none\.json: start "ghostlimit agent --standalone --policies DIR", or run "ghostlimit apply -f DIR" once\n$/,
    );
    expect([exitCode, stdout]).toEqual([1, '']);
  });

  test('a file that is no report: exit 1', () => {
    const file = join(folder, 'odd.json');
    writeFileSync(file, '{"conditions": 5}');
    const { exitCode, stderr } = runGhostlimit('status', '--status-file', file);
    expect(stderr).toContain('odd.json does not hold a report of ghostlimit: remove it');
    expect(exitCode).toBe(1);
  });
});

describe('lint', () => {
  const put = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  test('a file that CRIU takes: exit 0; a refused one: exit 3; JSON has the fields of the API', () => {
    const good = put('good.conf', '# limit\nghost-limit 3M\n');
    const silent = put('silent.conf', 'tcp-established\n');
    const bad = put('bad.conf', 'ghost-limit 3M\ntcp-established=true\n');
    expect(runGhostlimit('lint', good, silent).exitCode).toBe(0);
    const { exitCode, stdout } = runGhostlimit('lint', '-o', 'json', good, silent, bad);
    expect(exitCode).toBe(3);
    const results = JSON.parse(stdout) as { findings: { line: number; code: string; message: string }[] }[];
    expect(results).toMatchObject([
      { file: good, verdict: 'Accepted', ghostLimitBytes: 3_145_728 },
      { file: silent, verdict: 'Accepted', ghostLimitBytes: null },
      { file: bad, verdict: 'Refused', ghostLimitBytes: null },
    ]);
    expect(Object.keys(results[0] ?? {})).toEqual(['file', 'verdict', 'ghostLimitBytes', 'findings']);
    expect(results[2]?.findings[0]).toEqual({
      line: 2,
      code: 'ArgumentNotAllowed',
      message: expect.any(String),
    });
  });

  test('a limit over 2^53 is printed to the last byte', () => {
    const { stdout } = runGhostlimit(
      'lint',
      '-o',
      'json',
      put('huge.conf', 'ghost-limit 9223372036854775807\n'),
    );
    expect(stdout).toContain('"ghostLimitBytes": 9223372036854775807,');
  });

  test('a file that is not there does not hide the verdict on the others: exit 1', () => {
    const good = put('good2.conf', 'ghost-limit 3M\n');
    const { exitCode, stdout, stderr } = runGhostlimit('lint', join(folder, 'none.conf'), good);
    expect(stdout).toContain('good2.conf: accepted, ghost-limit 3145728 (3 MiB)');
    expect(stderr).toMatch(/^ghostlimit: .*none\.conf: cannot be read: ENOENT/);
    expect(exitCode).toBe(1);
  });
});

describe('the agent', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    server.close();
  });

  test('cannot have its address: exit 1 with the reason, no hanging', () => {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const places = [
      '--state-dir',
      join(folder, 'state'),
      '--status-file',
      join(folder, 'status.json'),
      '--docker-socket',
      join(folder, 'none.sock'),
      '--runc-root',
      join(folder, 'none'),
    ];
    const { exitCode, stderr } = runGhostlimit(
      'agent',
      '--standalone',
      '--policies',
      join(folder, 'no-folder'),
      ...places,
      '--listen',
      `127.0.0.1:${port}`,
    );
    expect(stderr).toContain('ghostlimit agent: listen EADDRINUSE');
    expect(exitCode).toBe(1);
  });
});
