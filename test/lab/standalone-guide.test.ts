// docs/standalone.md as its reader follows it: every command of the page, in its order, on a host with a real systemd and a real Docker Engine.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { CheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';
import { DEFAULT_STATUS_FILE } from '../../src/api/names.ts';
import { isReasonCode } from '../../src/api/reasons.ts';
import type { LabNode } from '../../hack/lab/lab-node.ts';
import { FILES_INSIDE, PROJECT } from './standalone-files.ts';
import { eventually, MIB, RUNC_CONF } from './standalone-host.ts';
import { startSystemdHost } from './systemd-host.ts';

const PAGE = await readFile(join(PROJECT, 'docs/standalone.md'), 'utf8');
const FILES = [
  'dist/ghostlimit',
  'dist/ghostlimit.sha256',
  'dist/ghostlimit-image.tar',
  'deploy/systemd/ghostlimit.service',
];

interface Block {
  readonly name: string;
  readonly heading: string;
  readonly text: string;
}

function readBlocks(page: string): Block[] {
  const headings = [...page.matchAll(/^## (.*)$/gm)];
  return [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map((fence, index) => {
    const [, language, text = ''] = fence;
    if (language !== 'sh') throw new Error(`a block of "${language ?? ''}" is not run by this test`);
    const heading = headings.findLast((each) => each.index < fence.index)?.[1] ?? '';
    return { name: `${(index + 1).toString()}, ${heading}: ${text.split('\n')[0] ?? ''}`, heading, text };
  });
}

const [build, ...blocks] = readBlocks(PAGE);
const shell = ['bash', '-euo', 'pipefail', '-c'] as const;

let folder: string;
let host: LabNode;
let before: string[];

/** And the report, which comes after the file, tells of it: the next block may show it. */
async function inForce(line: string): Promise<void> {
  await eventually(`"${line}" in ${RUNC_CONF}`, async () =>
    (await host.readFile(RUNC_CONF))?.toString().split('\n').includes(line) === true ? true : null,
  );
  await eventually('the report of it', async () => {
    const text = await host.readFile(DEFAULT_STATUS_FILE);
    if (text === null) return null;
    const { policies } = JSON.parse(text.toString()) as CheckpointNodeStatus;
    return policies[0]?.state === 'InForce' ? true : null;
  });
}

/** What the page says that happens, by a command of the block; each must be found in the page. */
const SEEN: Record<string, (stdout: string) => unknown> = {
  'sha256sum --check': (stdout) => {
    expect(stdout).toContain('ghostlimit: OK\n');
    expect(stdout).not.toContain('FAIL');
  },
  'systemctl status': (stdout) => {
    expect(stdout).toMatch(/Active: active \(running\)/);
  },
  'ghostlimit scan --container checkout\n': (stdout) => {
    expect(stdout).toContain('container checkout');
    expect(stdout).toContain('needs ghost-limit 3145728 (3 MiB)');
  },
  'ghostLimit: {auto': () => inForce('ghost-limit 4194304'),
  'cat /etc/criu/runc.conf': (stdout) => {
    expect(stdout).toMatch(/default\/checkout +main +InForce/);
    expect(stdout).toContain('\nghost-limit 4194304\n');
  },
  'ghostlimit checkpoint checkout\ndocker checkpoint ls': (stdout) => {
    expect(stdout).toMatch(/^checkout: checkpointed in /);
    expect(stdout).toMatch(/^first$/m);
    expect(stdout).toMatch(/^ghostlimit-/m);
  },
  readyz: (stdout) => {
    expect(stdout).toMatch(/^ok\n/);
    expect(stdout).toContain('ghostlimit_node_ghost_limit_bytes');
    expect(stdout).toContain('agent started');
  },
  'systemctl restart': () => inForce('ghost-limit 4194304'),
  'systemctl disable': () => expectNothingLeft(),
  'docker run --detach': () =>
    eventually('the agent', async () =>
      (await host.exec(['curl', '--silent', 'http://127.0.0.1:9808/readyz'])).stdout === 'ok\n' ? true : null,
    ),
  'ghostLimit: {fixed': (stdout) => {
    expect(stdout).toMatch(/^ok +criu: CRIU [\d.]+ works/m);
    expect(stdout).not.toContain('FAIL');
    expect(stdout).toContain('needs ghost-limit 3145728 (3 MiB)');
    return inForce('ghost-limit 16777216');
  },
  'docker logs': (stdout) => {
    expect(stdout).toMatch(/default\/checkout +main +InForce/);
    expect(stdout).toMatch(/^checkout: checkpointed in /m);
    expect(stdout).toMatch(/^second$/m);
  },
  'docker rmi': () => expectNothingLeft(),
};

/** Places of systemd, Docker, containerd and CRIU (its notes on the kernel) change all the time; nothing of ours may be in them by name, but for checkpoints in Docker's store. */
async function listHost(): Promise<string[]> {
  const others = 'docker|containerd|systemd|log|runc|docker.sock|docker.pid|criu.kdat';
  const script = `{ find /etc /run /var/lib /usr/local -ignore_readdir_race -printf '%p %y %m %U:%G %l\\n'; find /etc -type f -exec sha256sum {} +; } |
    grep -vE '^/(run|var/lib)/(${others})(/| )|^/run [a-z]|^/var/lib [a-z]' | sort
    find / -xdev -ignore_readdir_race -iname '*ghostlimit*' ! -path '/root/ghostlimit*' ! -path '/proc/*'
    find /run /var/lib/docker /var/lib/containerd -ignore_readdir_race -iname '*ghostlimit*' ! -path '*/checkpoints/*'`;
  return (await host.run([...shell, script])).split('\n');
}

async function expectNothingLeft(): Promise<void> {
  let changes = ['nobody has looked'];
  // Docker and systemd tidy up after their answer.
  await eventually('nothing of it to be left', async () => {
    const after = await listHost();
    const added = after.filter((line) => !before.includes(line)).map((line) => `added: ${line}`);
    const gone = before.filter((line) => !after.includes(line)).map((line) => `gone: ${line}`);
    changes = [...added, ...gone];
    return changes.length === 0 ? true : null;
  }).catch(() => undefined);
  expect(changes).toEqual([]);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ghostlimit-guide-'));
  const bind = { from: folder, to: FILES_INSIDE, readOnly: true };
  const started = await startSystemdHost('guide', bind);
  host = started.host;
  await started.startGhostContainer('checkout', 3 * MIB);
  before = await listHost();
});
afterAll(async () => {
  await host.stop();
  await rm(folder, { recursive: true });
});

describe('docs/standalone.md', () => {
  test('the build makes the files that are to be copied', async () => {
    expect(build?.heading).toBe('Build');
    await promisify(execFile)('bash', [...shell.slice(1), build?.text ?? ''], { cwd: PROJECT });
    for (const file of FILES) {
      expect(PAGE).toContain(`\`${file}\``);
      await copyFile(join(PROJECT, file), join(folder, file.replace(/^.*\//, '')));
    }
  });

  test.each(blocks)('block $name', async ({ text }) => {
    const { code, stdout, stderr } = await host.exec([...shell, text], { cwd: FILES_INSIDE });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    for (const [command, check] of Object.entries(SEEN)) if (text.includes(command)) await check(stdout);
  });

  test('holds every command that is looked for above', () => {
    const text = blocks.map((block) => block.text).join('');
    expect(Object.keys(SEEN).filter((command) => !text.includes(command))).toEqual([]);
  });

  test('names only reasons that there are', () => {
    const table = PAGE.slice(PAGE.indexOf('| reason |'));
    const names = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => [
      ...cell.matchAll(/`(\w+)`/g),
    ]);
    expect(names.length).toBeGreaterThan(10);
    expect(names.map(([, name = '']) => name).filter((name) => !isReasonCode(name))).toEqual([]);
  });
});
