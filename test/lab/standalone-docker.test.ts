// The node engine on a real Docker host: policies from a folder, the CRIU file, checkpoints by real CRIU.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import {
  CheckpointNodeStatusSchema,
  type FileReport,
  type PolicyReport,
} from '../../src/api/checkpoint-node.ts';
import { CheckpointRequestSchema } from '../../src/api/checkpoint-request.ts';
import { DEFAULT_STATUS_FILE } from '../../src/api/names.ts';
import {
  DoctorSchema,
  eventually,
  limitPolicy,
  MIB,
  POLICIES,
  policyYaml,
  RUNC_CONF,
  startStandaloneHost,
  type StandaloneHost,
} from './standalone-host.ts';

/** No newline at the end, a carriage return, and bytes that are not UTF-8: all of it is the users'. */
const FOREIGN = Buffer.concat([
  Buffer.from('# platform team\r\nskip-in-flight\n# '),
  Buffer.from([0xff, 0xfe]),
  Buffer.from(' end'),
]);

let host: StandaloneHost;
let agent: ChildProcess;

beforeAll(async () => {
  host = await startStandaloneHost('docker-host');
  await host.node.writeFile(RUNC_CONF, FOREIGN);
  agent = await host.startAgent();
});
afterAll(async () => {
  agent.kill('SIGKILL');
  await host.stop();
});

const writePolicy = (file: string, yaml: string): Promise<void> =>
  host.node.writeFile(`${POLICIES}/${file}`, yaml);
const confHas = (line: string): Promise<true> =>
  eventually(`"${line}" in ${RUNC_CONF}`, async () =>
    (await host.conf())?.split('\n').includes(line) === true ? true : null,
  );
const confRestored = (): Promise<true> =>
  eventually(`${RUNC_CONF} as it was`, async () =>
    (await host.node.readFile(RUNC_CONF))?.equals(FOREIGN) === true ? true : null,
  );
/** The policy `name` in the report, once it is in this state there. */
const policyReported = async (name: string, state: PolicyReport['state']): Promise<PolicyReport> => {
  const wanted = (policy: PolicyReport): boolean => policy.name === name && policy.state === state;
  const { policies } = await host.reported(`${name} to be ${state}`, (report) =>
    report.policies.some(wanted),
  );
  const found = policies.find(wanted);
  if (found === undefined) throw new Error(`${name} is not in the report`);
  return found;
};
const fileReported = async (state: FileReport['state']): Promise<FileReport> => {
  const wanted = (file: FileReport): boolean => file.state === state;
  const { files } = await host.reported(`a file to be ${state}`, (report) => report.files.some(wanted));
  const found = files.find(wanted);
  if (found === undefined) throw new Error(`no file is ${state}`);
  return found;
};
const counter = async (name: string): Promise<number> =>
  Number((await host.node.run(['docker', 'exec', name, 'cat', '/tmp/counter'])).trim());

beforeEach(async () => {
  await host.node.run(['sh', '-c', `rm -f ${POLICIES}/*; docker ps -aq | xargs -r docker rm -f`]);
  await confRestored();
  // The report of the test before must not be taken for that of this one.
  await host.reported(
    'a report without policies',
    ({ policies, problems }) => policies.length === 0 && problems.length === 0,
  );
});

describe('a policy of scope Node', () => {
  test('makes a checkpoint work that failed before, and leaves the file as it was', async () => {
    await host.startGhostContainer('web', 8 * MIB, '--label', 'app=web');
    const before = await host.node.exec([
      'docker',
      'checkpoint',
      'create',
      '--leave-running',
      'web',
      'before',
    ]);
    expect(before.code).toBe(1);
    expect(before.stderr).toContain('criu failed: type DUMP errno 0');

    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 8Mi}'));
    await confHas('ghost-limit 8388608');
    const direct = await host.node.exec([
      'docker',
      'checkpoint',
      'create',
      '--leave-running',
      'web',
      'direct',
    ]);
    expect(direct.stderr).toBe('');
    const { code, value } = await host.ghostlimitJson(CheckpointRequestSchema, 'checkpoint', 'web');
    expect(code).toBe(0);
    expect(value.status.containers).toEqual([
      {
        name: 'web',
        result: 'Succeeded',
        attempts: 1,
        durationSeconds: expect.any(Number),
        archive: {
          path: expect.stringContaining('/checkpoints/ghostlimit-'),
          sizeBytes: expect.any(Number),
          createdTime: expect.any(String),
        },
      },
    ]);
    expect(value.status.containers[0]?.archive?.sizeBytes).toBeGreaterThan(8 * MIB);
    expect(await host.docker.docker('checkpoint', 'ls', 'web')).toContain('ghostlimit-');

    const ticks = await counter('web');
    await eventually('the container to go on', async () => ((await counter('web')) > ticks ? true : null));
    await host.node.run(['rm', `${POLICIES}/web.yaml`]);
    await confRestored();
  });

  test('stands only while a matching container runs', async () => {
    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 5Mi}'));
    await host.startGhostContainer('other', MIB, '--label', 'app=other');
    expect(await host.node.readFile(RUNC_CONF)).toEqual(FOREIGN);
    await host.startGhostContainer('web', MIB, '--label', 'app=web');
    await confHas('ghost-limit 5242880');
    await host.docker.docker('kill', 'web');
    await confRestored();
  });

  test('is a floor: the highest of two wins, and a change is followed', async () => {
    await host.startGhostContainer('web', MIB, '--label', 'app=web');
    await writePolicy('a.yaml', limitPolicy('web', '{fixed: 3Mi}'));
    await confHas('ghost-limit 3145728');
    await writePolicy(
      'b.yaml',
      policyYaml('all', '  targets: [{name: all, selector: {}, ghostLimit: {fixed: 7Mi}}]'),
    );
    await confHas('ghost-limit 7340032');
    await host.node.run(['rm', `${POLICIES}/b.yaml`]);
    await confHas('ghost-limit 3145728');
  });

  test('that turns invalid is reported, and its last good state stays in force, also over a restart of the agent', async () => {
    await host.startGhostContainer('web', MIB, '--label', 'app=web');
    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 3Mi}'));
    await confHas('ghost-limit 3145728');
    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 3MB}'));
    const { problems } = await host.reported('the problem', (report) => report.problems.length > 0);
    expect(problems).toEqual([
      {
        origin: 'web.yaml',
        reason: 'InvalidPolicy',
        message:
          'spec.targets[0].ghostLimit.fixed: "3MB": is not a quantity: write "3Mi" (its last good state stays in force)',
      },
    ]);
    await host.killAgents();
    await host.node.run(['rm', DEFAULT_STATUS_FILE]);
    agent = await host.startAgent();
    const after = await host.reported('the problem again', (report) => report.problems.length > 0);
    expect(after.problems).toHaveLength(1);
    await confHas('ghost-limit 3145728');
  });

  test('with an auto limit learns from what the container really holds', async () => {
    await host.startGhostContainer('web', 6 * MIB, '--label', 'app=web');
    await writePolicy('web.yaml', limitPolicy('web', '{auto: {maximum: 32Mi}}'));
    // 6 MiB and 25 % are 7.5 MiB, rounded up to whole MiB.
    await confHas('ghost-limit 8388608');
    const [policy] = (
      await host.reported(
        'what was learned',
        ({ policies }) => policies[0]?.targets[0]?.requiredBytes === 6 * MIB,
      )
    ).policies;
    expect(policy).toMatchObject({
      name: 'web',
      state: 'InForce',
      reason: 'InSync',
      targets: [
        {
          effectiveLimitBytes: 8 * MIB,
          learnedLimitBytes: 8 * MIB,
          largestGhostFile: { path: '/tmp/ghost.so', bytes: 6 * MIB, containerName: 'web' },
        },
      ],
    });
    expect((await host.ghostlimit('checkpoint', 'web')).code).toBe(0);
  });

  test('in Audit mode writes nothing and says what it would do', async () => {
    await host.startGhostContainer('web', MIB, '--label', 'app=web');
    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 3Mi}', '  mode: Audit\n'));
    expect(await policyReported('web', 'Audited')).toMatchObject({
      state: 'Audited',
      reason: 'Audited',
      message: 'would ask for ghost-limit 3145728 (3Mi); nothing is written',
    });
    expect(await host.node.readFile(RUNC_CONF)).toEqual(FOREIGN);
  });
});

describe('a policy of scope Checkpoint', () => {
  const held = limitPolicy('big', '{fixed: 8Mi}', '  scope: Checkpoint\n');

  test('holds for the dump of its container alone: another one, dumped right after, is still refused', async () => {
    await host.startGhostContainer('big', 8 * MIB, '--label', 'app=big');
    await host.startGhostContainer('small', 8 * MIB, '--label', 'app=small');
    await writePolicy('big.yaml', held);
    await policyReported('big', 'Held');
    expect(await host.node.readFile(RUNC_CONF)).toEqual(FOREIGN);

    expect((await host.ghostlimit('checkpoint', 'big')).code).toBe(0);
    expect(await host.node.readFile(RUNC_CONF)).toEqual(FOREIGN);
    const direct = await host.node.exec([
      'docker',
      'checkpoint',
      'create',
      '--leave-running',
      'small',
      'direct',
    ]);
    expect(direct.stderr).toContain('criu failed: type DUMP errno 0');
    const { code, value } = await host.ghostlimitJson(CheckpointRequestSchema, 'checkpoint', 'small');
    expect(code).toBe(1);
    expect(value.status.containers[0]).toMatchObject({
      result: 'Failed',
      reason: 'GhostLimitExceeded',
      attempts: 0,
      ghostFile: { path: '/tmp/ghost.so', bytes: 8 * MIB },
      requiredGhostLimitBytes: 8 * MIB,
      hint: expect.stringContaining('"ghost-limit 8388608"'),
    });
  });

  test('after a SIGKILL in the middle of the dump the agent takes its lines back', async () => {
    await host.startGhostContainer('big', 8 * MIB, '--label', 'app=big');
    // CRIU waits in this script, at most two minutes, so that the dump is surely under way when its owner is killed.
    await host.node.writeFile(
      '/run/wait.sh',
      '#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" = pre-dump ] || exit 0\ntouch /run/dumping\nfor i in $(seq 1200); do [ -e /run/go-on ] && exit 0; sleep 0.1; done\n',
    );
    await host.node.run(['chmod', '755', '/run/wait.sh']);
    await host.node.writeFile('/etc/criu/default.conf', 'action-script /run/wait.sh\n');
    await writePolicy('big.yaml', held);
    await policyReported('big', 'Held');
    const running = host.node.spawn([
      'sh',
      '-c',
      'echo $$ > /run/owner; exec node /opt/ghostlimit/dist/ghostlimit.mjs checkpoint big',
    ]);
    await eventually('the dump', async () => await host.node.readFile('/run/dumping'));
    expect(await host.conf()).toContain('ghost-limit 8388608');
    await host.node.run(['sh', '-c', 'kill -KILL "$(cat /run/owner)"']);
    running.kill('SIGKILL');
    await confRestored();
    await host.node.writeFile('/run/go-on', '');
    await host.node.run(['rm', '/etc/criu/default.conf']);
    await eventually('the container to go on', async () =>
      (await host.node.exec(['docker', 'exec', 'big', 'true'])).code === 0 ? true : null,
    );
  });
});

describe('beside other writers', () => {
  test('a foreign line that CRIU refuses is named, nothing is written, and no checkpoint is tried', async () => {
    await host.startGhostContainer('web', 2 * MIB, '--label', 'app=web');
    await host.node.writeFile(RUNC_CONF, 'ghost-limit = 3145728\n');
    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 3Mi}'));
    const file = await fileReported('ForeignLineInvalid');
    expect(file.findings[0]).toMatchObject({
      line: 1,
      code: 'BlanksAroundEquals',
      message: expect.stringContaining('the right line is: ghost-limit 3145728'),
    });
    const { code, value } = await host.ghostlimitJson(CheckpointRequestSchema, 'checkpoint', 'web');
    expect(code).toBe(1);
    expect(value.status.containers[0]).toMatchObject({
      reason: 'ConfigInvalid',
      attempts: 0,
      message: expect.stringContaining('line 1'),
    });
    expect(await host.conf()).toBe('ghost-limit = 3145728\n');
    const doctor = await host.ghostlimitJson(DoctorSchema, 'doctor');
    expect(doctor.code).toBe(3);
    expect(doctor.value.checks.filter(({ ok }) => !ok)).toMatchObject([
      { name: RUNC_CONF, reason: 'ForeignLineInvalid' },
    ]);
    await host.node.writeFile(RUNC_CONF, FOREIGN);
    await confHas('ghost-limit 3145728');
  });

  test('a higher foreign limit is never lowered, and our lines are not needed', async () => {
    await host.startGhostContainer('web', MIB, '--label', 'app=web');
    await host.node.writeFile(RUNC_CONF, 'ghost-limit 64M\n');
    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 3Mi}'));
    const file = await fileReported('ForeignLimitSuffices');
    expect(file).toMatchObject({
      effectiveLimitBytes: 64 * MIB,
      desiredLimitBytes: 3 * MIB,
      managed: false,
      limitLine: 1,
    });
    expect(await host.conf()).toBe('ghost-limit 64M\n');
    await host.node.writeFile(RUNC_CONF, FOREIGN);
  });

  test('our lines deleted by somebody come back', async () => {
    await host.startGhostContainer('web', MIB, '--label', 'app=web');
    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 3Mi}'));
    await confHas('ghost-limit 3145728');
    await host.node.writeFile(RUNC_CONF, FOREIGN);
    await confHas('ghost-limit 3145728');
  });
});

describe('the agent as a program', () => {
  test('a second agent and apply are refused with the pid of the first', async () => {
    const pid = (await host.node.run(['pgrep', '-f', 'ghostlimit.mjs agent'])).trim().split('\n')[0] ?? '';
    const second = await host.ghostlimit(
      'agent',
      '--standalone',
      '--policies',
      POLICIES,
      '--listen',
      '127.0.0.1:0',
    );
    expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining(`process ${pid}`) });
    const apply = await host.ghostlimit('apply', '-f', POLICIES);
    expect(apply).toMatchObject({ code: 1, stderr: expect.stringContaining(`process ${pid}`) });
  });

  test('tells its health, and metrics with the limit in force', async () => {
    await host.startGhostContainer('web', MIB, '--label', 'app=web');
    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 3Mi}'));
    await confHas('ghost-limit 3145728');
    const get = async (path: string): Promise<string> =>
      (await host.node.exec(['curl', '--silent', '--fail', `http://127.0.0.1:9808${path}`])).stdout;
    expect(await get('/healthz')).toBe('ok\n');
    await eventually('the metric', async () =>
      (await get('/metrics')).includes(
        'ghostlimit_node_ghost_limit_bytes{path="/etc/criu/runc.conf",source="effective"} 3145728',
      )
        ? true
        : null,
    );
  });

  test('SIGTERM ends it with exit code 0 and leaves what is in force', async () => {
    await host.startGhostContainer('web', MIB, '--label', 'app=web');
    await writePolicy('web.yaml', limitPolicy('web', '{fixed: 3Mi}'));
    await confHas('ghost-limit 3145728');
    await host.node.run(['pkill', '-TERM', '-f', 'ghostlimit.mjs agent']);
    expect(await eventually('its end', () => Promise.resolve(agent.exitCode))).toBe(0);
    expect(await host.conf()).toContain('ghost-limit 3145728');
    const removed = await host.ghostlimitJson(CheckpointNodeStatusSchema, 'apply', '--remove');
    expect(removed.code).toBe(0);
    expect(removed.value.files).toMatchObject([{ path: RUNC_CONF, managed: false, state: 'InSync' }]);
    expect(await host.node.readFile(RUNC_CONF)).toEqual(FOREIGN);
    agent = await host.startAgent();
  });
});
