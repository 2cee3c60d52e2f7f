import { ScanFailed } from '../../../src/ports/ghost-scanner.ts';
import { describe, expect, test } from '@jest/globals';
import { DUMP_LOCK } from '../../../src/node-engine/documents.ts';
import { aPolicyDocument, aPolicyFor, aTarget } from '../../builders/policies.ts';
import { DEFAULT_CONF, FakeNode, RUNC_CONF } from '../../fakes/fake-node.ts';

const MI = 2 ** 20;
const FOREIGN = '# of the users\r\ntcp-established\nfile-locks';

const policyOf = (limit: string, spec: Record<string, unknown> = {}): unknown[] => [
  aPolicyFor('web', { fixed: limit }, spec),
];

function aNodeWithWeb(files: Record<string, string> = {}, settings: Record<string, unknown> = {}): FakeNode {
  const node = new FakeNode(files, settings);
  node.run('web', {}, { app: 'web' });
  return node;
}

describe('what the file holds as the world changes', () => {
  test.each([
    ['no file before', {}],
    ['a file of the users without a last newline', { [RUNC_CONF]: FOREIGN }],
    ['an empty file', { [RUNC_CONF]: '' }],
  ])(
    'policy comes, container starts, stops, policy changes, goes: the file is as before (%s)',
    async (_s, files) => {
      const node = new FakeNode(files);
      const before = node.conf;
      const engine = node.startEngine();
      const lines = async (): Promise<readonly string[]> => {
        await engine.reconcile();
        return node.ownLines;
      };
      expect(await lines()).toEqual([]);
      node.folder.put('a.yaml', policyOf('3Mi'));
      expect(await lines()).toEqual([]);
      node.run('web', {}, { app: 'web' });
      expect(await lines()).toEqual(['ghost-limit 3145728']);
      node.run('other');
      node.runtime.stop('web');
      expect(await lines()).toEqual([]);
      expect(node.conf).toBe(before);
      node.run('web', {}, { app: 'web' });
      node.folder.put('a.yaml', policyOf('5Mi'));
      expect(await lines()).toEqual(['ghost-limit 5242880']);
      node.folder.put('a.yaml', policyOf('4Mi'));
      expect(await lines()).toEqual(['ghost-limit 4194304']);
      node.folder.remove('a.yaml');
      expect(await lines()).toEqual([]);
      expect(node.conf).toBe(before);
      expect(node.files.disk.names('/etc/criu')).toEqual(before === null ? null : ['runc.conf']);
      expect(await node.state.list('orig')).toEqual([]);
    },
  );

  test('edits of others meanwhile stay when we go', async () => {
    const node = aNodeWithWeb({ [RUNC_CONF]: FOREIGN });
    node.folder.put('a.yaml', policyOf('3Mi'));
    await node.pass();
    node.files.put(RUNC_CONF, `# first\n${node.conf ?? ''}shell-job\n`);
    await node.pass();
    node.folder.remove('a.yaml');
    await node.pass();
    expect(node.conf).toBe(`# first\n${FOREIGN}\nshell-job\n`);
  });

  test('a file that turns invalid keeps its last good state, also over a restart, and says so', async () => {
    const node = aNodeWithWeb();
    node.folder.put('a.yaml', policyOf('3Mi'));
    await node.pass();
    node.folder.put('a.yaml', policyOf('3MB'));
    for (const report of [await node.pass(), await node.pass()]) {
      expect(node.ownLines).toEqual(['ghost-limit 3145728']);
      expect(report.problems).toEqual([
        {
          origin: 'a.yaml',
          reason: 'InvalidPolicy',
          message:
            'spec.targets[0].ghostLimit.fixed: "3MB": is not a quantity: write "3Mi" (its last good state stays in force)',
        },
      ]);
    }
    node.folder.remove('a.yaml');
    await node.pass();
    expect(node.conf).toBeNull();
  });

  test('a lowered cap is not got round by the last good state', async () => {
    const node = aNodeWithWeb();
    node.folder.put('a.yaml', policyOf('3Mi'));
    await node.pass();
    node.settings = { ...node.settings, maxGhostLimit: 2 * MI };
    const { problems } = await node.pass();
    expect(problems).toMatchObject([{ origin: 'a.yaml', reason: 'LimitOverCap' }]);
    expect(node.conf).toBeNull();
  });

  test.each<[string, (node: FakeNode) => void, string, string]>([
    [
      'the engine is silent',
      (node) => {
        node.runtime.available = false;
      },
      'containers',
      'RuntimeUnavailable',
    ],
    [
      'the folder is gone',
      (node) => {
        node.folder.fault = new Error('ENOENT: no such file or directory');
      },
      'policies',
      'ReadFailed',
    ],
  ])('%s: what stands stays, also over a restart', async (_sentence, breakIt, origin, reason) => {
    const node = aNodeWithWeb();
    node.folder.put('a.yaml', policyOf('3Mi'));
    const engine = node.startEngine();
    await engine.reconcile();
    breakIt(node);
    for (const report of [(await engine.reconcile()).report, await node.pass()]) {
      expect(node.ownLines).toEqual(['ghost-limit 3145728']);
      expect(report.problems).toMatchObject([{ origin, reason }]);
    }
  });

  test('the folder is gone, but a container that stopped still counts as stopped', async () => {
    const node = aNodeWithWeb();
    node.folder.put('a.yaml', policyOf('3Mi'));
    const engine = node.startEngine();
    await engine.reconcile();
    node.folder.fault = new Error('gone');
    node.runtime.stop('web');
    await engine.reconcile();
    expect(node.conf).toBeNull();
  });

  test('an engine that never answered on this host holds nothing up', async () => {
    const node = new FakeNode({}, { baseGhostLimit: '2Mi' });
    node.runtime.available = false;
    await node.pass();
    expect(node.ownLines).toEqual(['ghost-limit 2097152']);
  });

  test('Audit writes nothing and reports what it would do', async () => {
    const node = aNodeWithWeb();
    node.folder.put('a.yaml', policyOf('3Mi', { mode: 'Audit' }));
    const { policies } = await node.pass();
    expect(node.conf).toBeNull();
    expect(policies).toMatchObject([
      {
        state: 'Audited',
        message: 'would ask for ghost-limit 3145728 (3Mi); nothing is written',
        matchedPods: 1,
      },
    ]);
  });

  test('the options of a policy stand beside the limit', async () => {
    const node = aNodeWithWeb({}, { allowedCriuOptions: ['FileLocks', 'TcpEstablished'] });
    node.folder.put('a.yaml', policyOf('3Mi', { criuOptions: ['FileLocks', 'TcpEstablished'] }));
    await node.pass();
    expect(node.ownLines).toEqual(['ghost-limit 3145728', 'tcp-established', 'file-locks']);
  });
});

describe('lines of others', () => {
  test('a foreign 64M is never lowered', async () => {
    const node = aNodeWithWeb({ [RUNC_CONF]: 'ghost-limit 64M\n' });
    node.folder.put('a.yaml', policyOf('3Mi'));
    const { files } = await node.pass();
    expect(node.conf).toBe('ghost-limit 64M\n');
    expect(files).toMatchObject([
      {
        state: 'ForeignLimitSuffices',
        effectiveLimitBytes: 64 * MI,
        desiredLimitBytes: 3 * MI,
        limitLine: 1,
        managed: false,
        decidedBy: 'default/web web',
      },
    ]);
  });

  test('nor is 64M of default.conf', async () => {
    const node = aNodeWithWeb({ [DEFAULT_CONF]: 'ghost-limit 64M\n' });
    node.folder.put('a.yaml', policyOf('3Mi'));
    const { files } = await node.pass();
    expect(node.conf).toBeNull();
    expect(files).toMatchObject([{ effectiveLimitBytes: 64 * MI, managed: false }]);
    node.folder.put('a.yaml', policyOf('65Mi'));
    await node.pass();
    expect(node.ownLines).toEqual(['ghost-limit 68157440']);
  });

  test('a default.conf that CRIU refuses is reported: no checkpoint can work', async () => {
    const node = aNodeWithWeb({ [DEFAULT_CONF]: '# ok\ntcp-established=true\n' });
    node.folder.put('a.yaml', policyOf('3Mi'));
    const { files, conditions } = await node.pass();
    expect(files[1]).toMatchObject({
      path: DEFAULT_CONF,
      state: 'ForeignLineInvalid',
      effectiveLimitBytes: 0,
    });
    expect(conditions).toMatchObject([
      { type: 'Ready', status: 'False', reason: 'ForeignLineInvalid' },
      { type: 'ConfigInSync', status: 'False' },
      {
        type: 'CheckpointReady',
        status: 'False',
        message: expect.stringMatching(/^\/etc\/criu\/default\.conf line 2: /) as never,
      },
    ]);
  });

  test('a foreign line that CRIU refuses: nothing is written, and the line is named', async () => {
    const text = 'tcp-established\nfile-locks = true\n';
    const node = aNodeWithWeb({ [RUNC_CONF]: text });
    node.folder.put('a.yaml', policyOf('3Mi'));
    const { files, conditions, policies } = await node.pass();
    expect(node.conf).toBe(text);
    expect(files).toMatchObject([
      { state: 'ForeignLineInvalid', verdict: 'Refused', effectiveLimitBytes: 0, managed: false },
    ]);
    expect(conditions[2]).toMatchObject({ type: 'CheckpointReady', status: 'False' });
    expect(conditions[1]?.message).toMatch(/^\/etc\/criu\/runc\.conf line 2/);
    expect(policies).toMatchObject([{ state: 'Failing', reason: 'ForeignLineInvalid' }]);
  });

  test('lines that keep ours from taking effect: CRIU still takes the file, so checkpoints are not ruled out', async () => {
    const node = aNodeWithWeb({ [RUNC_CONF]: ' \0\nfile-locks\n' });
    node.folder.put('a.yaml', policyOf('3Mi'));
    const { files, conditions } = await node.pass();
    expect(node.conf).toBe(' \0\nfile-locks\n');
    expect(files).toMatchObject([
      { state: 'ForeignLineInvalid', verdict: 'Accepted', effectiveLimitBytes: MI },
    ]);
    expect(conditions.map(({ status }) => status)).toEqual(['False', 'False', 'True']);
  });
});

describe('a file that cannot be written', () => {
  test.each([
    ['EROFS', 'ReadOnlyFileSystem'],
    ['ENOSPC', 'FileSystemFull'],
    ['EPERM', 'FileImmutable'],
    ['EACCES', 'WriteFailed'],
  ])('%s: the report tells what stands in the file, not what was meant', async (code, state) => {
    const node = aNodeWithWeb();
    node.folder.put('a.yaml', policyOf('3Mi'));
    await node.pass();
    const before = node.conf;
    node.folder.put('a.yaml', policyOf('5Mi'));
    node.files.fail('create', code, { always: true });
    const engine = node.startEngine();
    const { report, settled } = await engine.reconcile();
    expect(node.conf).toBe(before);
    expect(settled).toBe(false);
    expect(report.files).toMatchObject([
      { state, effectiveLimitBytes: 3 * MI, desiredLimitBytes: 5 * MI, managed: true, limitLine: 3 },
    ]);
    node.files.heal();
    expect((await engine.reconcile()).settled).toBe(false);
    expect(node.ownLines).toEqual(['ghost-limit 5242880']);
    expect((await engine.reconcile()).settled).toBe(true);
  });

  test('a file that cannot be read may still hold our lines', async () => {
    const node = aNodeWithWeb();
    node.folder.put('a.yaml', policyOf('3Mi'));
    await node.pass();
    node.folder.remove('a.yaml');
    node.files.fail('openForRead', 'EIO', { always: true });
    const { files } = await node.pass();
    expect(files[0]).toMatchObject({ state: 'ReadFailed', managed: true });
  });

  test('another program that writes each time between our look and our write: given way to', async () => {
    const node = aNodeWithWeb({ [RUNC_CONF]: '' });
    node.folder.put('a.yaml', policyOf('3Mi'));
    let edits = 0;
    node.files.disk.onCall = (call) => {
      if (call !== 'sync') return;
      node.files.disk.put(RUNC_CONF, Buffer.from(`# edit ${(edits += 1)}\n`));
    };
    const { files } = await node.pass();
    node.files.disk.onCall = null;
    expect(files).toMatchObject([{ state: 'Contended', managed: false, effectiveLimitBytes: MI }]);
    expect(node.conf).toBe(`# edit ${edits}\n`);
  });

  test('lines that somebody took out are put back, and counted', async () => {
    const node = aNodeWithWeb({ [RUNC_CONF]: '' });
    node.folder.put('a.yaml', policyOf('3Mi'));
    await node.pass();
    expect(node.measured).not.toContain(`drift ${RUNC_CONF}`);
    node.files.put(RUNC_CONF, '# mine now\n');
    await node.pass();
    expect(node.ownLines).toEqual(['ghost-limit 3145728']);
    expect(node.measured).toContain(`drift ${RUNC_CONF}`);
  });
});

describe('lines of a dump', () => {
  const lease = { ghostLimitBytes: 8 * MI, options: ['TcpClose'], containerId: 'db', takenAt: 'x' };
  const leased = async (): Promise<FakeNode> => {
    const node = aNodeWithWeb();
    node.folder.put('a.yaml', policyOf('3Mi'));
    await node.state.write('dump-lease.json', Buffer.from(JSON.stringify(lease)));
    return node;
  };

  test('stand while their owner lives', async () => {
    const node = await leased();
    await node.state.asProcess(7).lock(DUMP_LOCK, 0);
    const { report, dumpRunning } = await node.startEngine().reconcile();
    expect(dumpRunning).toBe(true);
    expect(node.ownLines).toEqual(['ghost-limit 8388608', 'tcp-close']);
    expect(report.files[0]?.decidedBy).toBe('checkpoint of container db');
  });

  test('are taken back by the next pass once the owner was killed', async () => {
    const node = await leased();
    await node.state.asProcess(7).lock(DUMP_LOCK, 0);
    await node.pass();
    node.state.kill(7);
    const { dumpRunning } = await node.startEngine().reconcile();
    expect(dumpRunning).toBe(false);
    expect(node.ownLines).toEqual(['ghost-limit 3145728']);
    expect(node.state.text('dump-lease.json')).toBeNull();
  });
});

describe('auto targets', () => {
  const aNodeWithAuto = (): { node: FakeNode; pid: number } => {
    const node = new FakeNode();
    const pid = node.run('web', { '/tmp/a.so': 2 * MI }, { app: 'web' });
    node.folder.put('a.yaml', [aPolicyFor('web', { auto: { maximum: '16Mi' } })]);
    return { node, pid };
  };

  test('scans at 0, 5 and 30 s, then every 300 s; a container that is started anew begins again', async () => {
    const { node, pid } = aNodeWithAuto();
    const engine = node.startEngine();
    const scans: [number, number][] = [];
    for (let second = 0; second <= 1000; second += 1) {
      if (second === 700) node.holds(node.run('web', {}, { app: 'web' }), {});
      await engine.reconcile();
      node.scanner.scanned.length = 0;
      await engine.scanDue();
      for (const scanned of node.scanner.scanned) scans.push([second, scanned]);
      node.clock.jump(1000);
    }
    expect(scans).toEqual([
      ...[0, 5, 30, 330, 630].map((second) => [second, pid]),
      ...[700, 705, 730].map((second) => [second, pid + 1]),
    ]);
  });

  test('a container that could not be looked through makes its policy fail, until it could be', async () => {
    const { node } = aNodeWithAuto();
    const engine = node.startEngine();
    await engine.reconcile();
    node.scanner.failOnce(new ScanFailed('ScanTimedOut', 'process 7 could not be scanned in 10000 ms'));
    expect(await engine.scanDue()).toBe(true);
    expect((await engine.reconcile()).report.policies).toMatchObject([
      {
        state: 'Failing',
        reason: 'ScanFailed',
        message:
          'target web learns its limit, but not all could be seen: container web: process 7 could not be scanned in 10000 ms',
      },
    ]);
    node.clock.jump(5_000);
    expect(await engine.scanDue()).toBe(true);
    expect((await engine.reconcile()).report.policies).toMatchObject([
      { state: 'InForce', reason: 'InSync' },
    ]);
  });

  test('untilNextScanMs tells when the next is due', async () => {
    const { node } = aNodeWithAuto();
    const engine = node.startEngine();
    await engine.reconcile();
    expect(engine.untilNextScanMs()).toBeNull();
    await engine.scanDue();
    expect(engine.untilNextScanMs()).toBe(5_000);
    node.clock.jump(4_000);
    expect(engine.untilNextScanMs()).toBe(1_000);
  });

  test('the limit rises with what is found, inside its bounds, and does not fall when the file is gone', async () => {
    const { node, pid } = aNodeWithAuto();
    const engine = node.startEngine();
    const passAndScan = async (): Promise<readonly string[]> => {
      await engine.reconcile();
      if (await engine.scanDue()) await engine.reconcile();
      node.clock.jump(300_000);
      return node.ownLines;
    };
    await engine.reconcile();
    // The minimum of an auto target is CRIU's own limit: nothing to write.
    expect(node.ownLines).toEqual([]);
    expect(await passAndScan()).toEqual([`ghost-limit ${3 * MI}`]);
    node.holds(pid, { '/tmp/a.so': 2 * MI, '/tmp/b.so': 6 * MI });
    expect(await passAndScan()).toEqual([`ghost-limit ${8 * MI}`]);
    node.holds(pid, {});
    expect(await passAndScan()).toEqual([`ghost-limit ${8 * MI}`]);
    node.holds(pid, { '/tmp/c.so': 15 * MI });
    expect(await passAndScan()).toEqual([`ghost-limit ${16 * MI}`]);
    node.holds(pid, { '/tmp/d\n.so': 40 * MI });
    expect(await passAndScan()).toEqual([`ghost-limit ${16 * MI}`]);
    expect(node.reports.at(-1)?.policies).toMatchObject([
      {
        state: 'Failing',
        reason: 'GhostLimitExceeded',
        message:
          "target web: a ghost file of 41943040 bytes (/tmp/d\\n.so) is over the target's limit of 16777216: raise `ghostLimit` of this target",
        targets: [{ requiredBytes: 40 * MI, effectiveLimitBytes: 16 * MI, learnedLimitBytes: 16 * MI }],
      },
    ]);
  });

  test('a requirement over its own target that another line of the node covers is no failure', async () => {
    const node = new FakeNode({ [RUNC_CONF]: 'ghost-limit 64M\n' });
    node.run('web', { '/tmp/a': 6 * MI }, { app: 'web' });
    node.folder.put('a.yaml', policyOf('3Mi'));
    const engine = node.startEngine();
    await engine.reconcile();
    await engine.scanDue();
    const { report } = await engine.reconcile();
    expect(report.policies).toMatchObject([{ state: 'InForce', targets: [{ requiredBytes: 6 * MI }] }]);
  });

  test('a scan that fails is tried again at the next due time, not before', async () => {
    const { node, pid } = aNodeWithAuto();
    const engine = node.startEngine();
    node.scanner.endProcess(pid);
    await engine.reconcile();
    expect(await engine.scanDue()).toBe(true);
    expect(engine.untilNextScanMs()).toBe(5_000);
    expect(node.logged).toContainEqual(expect.objectContaining({ message: 'container not scanned' }));
  });
});

test('a pass that changes nothing writes nothing, neither file nor document', async () => {
  const node = aNodeWithWeb({ [RUNC_CONF]: FOREIGN }, { allowedCriuOptions: ['ShellJob'] });
  node.folder.put('a.yaml', [
    aPolicyDocument({
      criuOptions: ['ShellJob'],
      targets: [
        aTarget({ selector: { matchLabels: { app: 'web', 1: 'x' } }, name: 'one' }),
        aTarget({ selector: { matchExpressions: [{ values: ['web'], operator: 'In', key: 'app' }] } }),
      ],
    }),
  ]);
  await node.pass();
  const written: string[] = [];
  const write = node.state.write.bind(node.state);
  node.state.write = (name, content) => {
    written.push(name);
    return write(name, content);
  };
  const before = node.measured.length;
  expect((await node.startEngine().reconcile()).settled).toBe(true);
  expect(written).toEqual([]);
  expect(node.measured.slice(before).filter((call) => call.startsWith('fileWrite'))).toEqual([]);
});
