// Which CRIU file counts, on real runtimes: crun that reads runc.conf, crun.conf in its place, and default.conf where crun or libcriu is too old for either.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { oldLibcriuBind } from '../../hack/lab/crun.ts';
import type { LabNodeOptions } from '../../hack/lab/lab-node.ts';
import { startPodmanHost, type PodmanHost } from './podman-host.ts';
import { limitPolicy, MIB, POLICIES, RUNC_CONF } from './standalone-host.ts';

const CRUN_CONF = '/etc/criu/crun.conf';
const DEFAULT_CONF = '/etc/criu/default.conf';
const TOO_LARGE = 'increase limit';

describe('Podman with a crun that reads files', () => {
  let host: PodmanHost;

  beforeAll(async () => {
    host = await startPodmanHost({ name: 'crun-new' });
    await host.startHolder('by-runc', 'runc', 3 * MIB);
    await host.startHolder('by-crun', 'crun', 3 * MIB);
    for (const name of ['by-runc', 'by-crun'])
      await host.node.writeFile(`${POLICIES}/${name}.yaml`, limitPolicy(name, '{fixed: 3Mi}'));
  }, 300_000);
  afterAll(async () => {
    await host.node.stop();
  });

  test('both runtimes refuse at the default limit, and take the lines of runc.conf', async () => {
    expect(await host.dump('by-runc')).toContain(TOO_LARGE);
    expect(await host.dump('by-crun')).toContain(TOO_LARGE);
    const { files, problems, policies } = await host.apply();
    expect(files).toMatchObject([{ path: RUNC_CONF, state: 'InSync', managed: true }]);
    expect(files[0]?.why).toMatch(
      /^crun 1\.28 \(podman\) reads it, as there is no crun\.conf; runc 1\.\S+ \(podman, runc\) reads it$/,
    );
    expect(problems).toEqual([]);
    expect(policies.map(({ state }) => state)).toEqual(['InForce', 'InForce']);
    expect(await host.dump('by-runc')).toBe('');
    expect(await host.dump('by-crun')).toBe('');
    expect(await host.checkpoint('by-crun')).toMatchObject({ result: 'Succeeded' });
    expect((await host.ghostlimit('apply', '--remove')).code).toBe(0);
    expect(await host.text(RUNC_CONF)).toBeNull();
  });

  test.each([
    ['an empty crun.conf', ''],
    ['a crun.conf with lines of somebody', '# mine\nfile-locks\n'],
  ])('%s hides runc.conf from crun: it is kept too, and as before when our lines go', async (_, content) => {
    await host.node.writeFile(CRUN_CONF, content);
    await host.node.writeFile(RUNC_CONF, 'ghost-limit 64M\n');
    expect(await host.dump('by-crun')).toContain(TOO_LARGE);
    await host.node.run(['rm', RUNC_CONF]);
    const { files } = await host.apply();
    expect(files).toMatchObject([
      { path: RUNC_CONF, state: 'InSync', effectiveLimitBytes: 3 * MIB },
      { path: CRUN_CONF, state: 'InSync', effectiveLimitBytes: 3 * MIB, managed: true },
    ]);
    expect(files[1]?.why).toMatch(
      /^crun 1\.28 \(podman\) reads it in place of runc\.conf, because it exists$/,
    );
    expect(await host.dump('by-runc')).toBe('');
    expect(await host.dump('by-crun')).toBe('');
    expect((await host.ghostlimit('apply', '--remove')).code).toBe(0);
    expect(await host.text(CRUN_CONF)).toBe(content);
    expect(await host.text(RUNC_CONF)).toBeNull();
    await host.node.run(['rm', CRUN_CONF]);
  });

  test('a crun.conf that the setting leaves out is reported, and refused for containers of crun only', async () => {
    await host.node.writeFile(CRUN_CONF, '');
    const { files, problems } = await host.apply('--files', 'runc.conf');
    expect(files.map(({ path }) => path)).toEqual([RUNC_CONF]);
    expect(problems).toEqual([
      {
        origin: CRUN_CONF,
        reason: 'HiddenByCrunConf',
        message: expect.stringMatching(/^crun 1\.28 \(podman\) reads it in place of runc\.conf/),
      },
    ]);
    expect(await host.checkpoint('by-runc')).toMatchObject({ result: 'Succeeded' });
    expect(await host.checkpoint('by-crun')).toMatchObject({
      result: 'Failed',
      attempts: 0,
      reason: 'GhostLimitExceeded',
      message: expect.stringContaining('ghost-limit is 1048576'),
    });
    // Lines in crun.conf go again when the setting drops it.
    expect((await host.apply()).files).toHaveLength(2);
    expect(await host.text(CRUN_CONF)).toContain('ghost-limit 3145728');
    expect((await host.apply('--files', 'runc.conf')).files).toHaveLength(1);
    expect(await host.text(CRUN_CONF)).toBe('');
    expect((await host.ghostlimit('apply', '--remove')).code).toBe(0);
    await host.node.run(['rm', CRUN_CONF]);
  });

  test('a file that CRIU refuses stops the containers that read it, and no others', async () => {
    await host.node.writeFile(CRUN_CONF, 'ghost-limit = 3145728\n');
    const { files } = await host.apply();
    expect(files).toMatchObject([
      { path: RUNC_CONF, state: 'InSync' },
      { path: CRUN_CONF, state: 'ForeignLineInvalid', verdict: 'Refused' },
    ]);
    expect(await host.checkpoint('by-runc')).toMatchObject({ result: 'Succeeded' });
    expect(await host.checkpoint('by-crun')).toMatchObject({
      reason: 'ConfigInvalid',
      attempts: 0,
      message: expect.stringContaining(CRUN_CONF),
    });
    expect(await host.dump('by-crun')).toContain('CRIU checkpointing failed: -70');
    await host.node.writeFile(CRUN_CONF, 'no-such-option\n');
    expect(await host.dump('by-crun')).toContain('CRIU checkpointing failed: -52');
    await host.node.run(['rm', CRUN_CONF]);
    expect((await host.ghostlimit('apply', '--remove')).code).toBe(0);
  });

  test('a container with its own file by annotation is named by the report and by doctor', async () => {
    await host.startHolder('annotated', 'crun', 4096, '--annotation', 'org.criu.config=/etc/criu/own.conf');
    await host.node.writeFile(`${POLICIES}/annotated.yaml`, limitPolicy('annotated', '{fixed: 2Mi}'));
    const { problems } = await host.apply();
    expect(problems).toMatchObject([
      {
        origin: 'container annotated',
        reason: 'HiddenByAnnotation',
        message: expect.stringContaining('/etc/criu/own.conf'),
      },
    ]);
    const { code, stdout } = await host.ghostlimit('doctor');
    expect(code).toBe(3);
    expect(stdout).toMatch(
      /FAIL {2}annotations: HiddenByAnnotation: .*annotated reads \/etc\/criu\/own\.conf/,
    );
    await host.node.run(['rm', `${POLICIES}/annotated.yaml`]);
    await host.podman.podman('rm', '--force', '--time', '0', 'annotated');
    expect((await host.ghostlimit('apply', '--remove')).code).toBe(0);
    expect((await host.ghostlimit('doctor')).code).toBe(0);
  });
});

describe('what would make every checkpoint of Podman fail, before trying', () => {
  let host: PodmanHost;
  const doctor = async (): Promise<string> => (await host.ghostlimit('doctor')).stdout;

  beforeAll(async () => {
    host = await startPodmanHost({ name: 'crun-lacks' });
  }, 300_000);
  afterAll(async () => {
    await host.node.stop();
  });

  test('nothing', async () => {
    expect(await doctor()).not.toContain('FAIL');
    expect(await doctor()).toMatch(
      /ok {4}crun 1\.28 \(podman\): loads \/usr\/lib\/\S+\/libcriu\.so\.2\S*, can name a CRIU file/,
    );
  });

  test.each([
    [
      'libcriu',
      'mv /usr/lib/*/libcriu.so.2* /run/',
      'mv /run/libcriu.so.2* /usr/lib/*-linux-gnu/',
      /FAIL {2}crun 1\.28 \(podman\): CriuMissing: .*libcriu/,
    ],
    [
      'criu',
      'mv /usr/sbin/criu /run/criu-gone',
      'mv /run/criu-gone /usr/sbin/criu',
      /FAIL {2}criu: CriuMissing/,
    ],
    [
      'a default.conf that CRIU takes',
      'echo no-such-option > /etc/criu/default.conf',
      'rm /etc/criu/default.conf',
      /FAIL {2}\/etc\/criu\/default\.conf: ForeignLineInvalid: line 1/,
    ],
  ])('the lack of %s', async (...[, take, giveBack, expected]) => {
    await host.startHolder('lacking', 'crun', 4096);
    await host.node.run(['sh', '-ec', take]);
    expect(await doctor()).toMatch(expected);
    expect((await host.checkpoint('lacking')).reason).toMatch(/^(?:CriuMissing|ConfigInvalid)$/);
    await host.node.run(['sh', '-ec', giveBack]);
    expect(await doctor()).not.toContain('FAIL');
    await host.podman.podman('rm', '--force', '--time', '0', 'lacking');
  });
});

describe.each([
  [
    'of Debian 13: crun 1.21 and libcriu 4.1.1',
    async (): Promise<Partial<LabNodeOptions>> => Promise.resolve({ release: 'trixie' }),
    /crun 1\.26 and libcriu 4\.2/,
  ],
  [
    '1.28 with libcriu 4.1.1',
    async (): Promise<Partial<LabNodeOptions>> => ({ binds: [await oldLibcriuBind(() => undefined)] }),
    /that takes libcriu 4\.2\)/,
  ],
])('Podman with a crun %s', (_, options, missing) => {
  let host: PodmanHost;

  beforeAll(async () => {
    host = await startPodmanHost({ name: 'crun-old', ...(await options()) });
    await host.startHolder('by-crun', 'crun', 3 * MIB);
    await host.node.writeFile(`${POLICIES}/by-crun.yaml`, limitPolicy('by-crun', '{fixed: 3Mi}'));
  }, 300_000);
  afterAll(async () => {
    await host.node.stop();
  });

  test.each([
    ['no default.conf', null],
    ['a default.conf with a lower limit', '# mine\nghost-limit 2M'],
  ])('with %s: our lines go there, stay, and leave it as it was', async (__, content) => {
    if (content !== null) await host.node.writeFile(DEFAULT_CONF, content);
    await host.node.writeFile(RUNC_CONF, 'ghost-limit 64M\n');
    expect(await host.dump('by-crun')).toContain(TOO_LARGE);
    await host.node.run(['rm', RUNC_CONF]);
    const { files, policies } = await host.apply();
    expect(files).toMatchObject([
      { path: RUNC_CONF, state: 'InSync', effectiveLimitBytes: 3 * MIB, managed: true },
      { path: DEFAULT_CONF, state: 'InSync', effectiveLimitBytes: 3 * MIB, managed: true },
    ]);
    expect(files[1]?.why).toMatch(missing);
    expect(policies).toMatchObject([{ state: 'InForce' }]);
    const written = [await host.text(RUNC_CONF), await host.text(DEFAULT_CONF)];
    expect(await host.dump('by-crun')).toBe('');
    expect(await host.checkpoint('by-crun')).toMatchObject({ result: 'Succeeded' });
    await host.apply();
    expect([await host.text(RUNC_CONF), await host.text(DEFAULT_CONF)]).toEqual(written);
    expect((await host.ghostlimit('apply', '--remove')).code).toBe(0);
    expect([await host.text(RUNC_CONF), await host.text(DEFAULT_CONF)]).toEqual([null, content]);
    await host.node.run(['rm', '-f', DEFAULT_CONF]);
  });

  test('options that crun sets itself are not written there, and the report says so', async () => {
    await host.node.writeFile(
      `${POLICIES}/by-crun.yaml`,
      limitPolicy('by-crun', '{fixed: 3Mi}', '  criuOptions: [LinkRemap, TcpEstablished]\n'),
    );
    const { problems } = await host.apply('--allowed-criu-options', 'LinkRemap,TcpEstablished');
    expect(problems).toEqual([
      {
        origin: DEFAULT_CONF,
        reason: 'OptionOverruled',
        message: expect.stringMatching(/^TcpEstablished: /),
      },
    ]);
    const text = await host.text(DEFAULT_CONF);
    expect(text).toContain('link-remap');
    expect(text).not.toContain('tcp-established');
    expect((await host.ghostlimit('apply', '--remove')).code).toBe(0);
  });
});
