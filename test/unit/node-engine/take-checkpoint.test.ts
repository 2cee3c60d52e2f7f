import { beforeEach, describe, expect, test } from '@jest/globals';
import { CheckpointRequestSchema, ContainerResultSchema } from '../../../src/api/checkpoint-request.ts';
import { DUMP_LOCK, FILES_LOCK } from '../../../src/node-engine/documents.ts';
import { RuntimeUnavailable } from '../../../src/ports/container-runtime.ts';
import { aPolicyFor } from '../../builders/policies.ts';
import { atRest } from '../../fakes/fake-clock.ts';
import { DEFAULT_CONF, FakeNode, RUNC_CONF } from '../../fakes/fake-node.ts';

const MI = 2 ** 20;
const JNI = '/tmp/libnetty.so';

/** Two containers, each with a ghost file of 8 MiB; a policy of scope Checkpoint for one of them. */
async function aNode(
  files: Record<string, string> = {},
  ghostLimit: unknown = { fixed: '8Mi' },
  spec: Record<string, unknown> = { scope: 'Checkpoint' },
): Promise<FakeNode> {
  const node = new FakeNode(files, { allowedCriuOptions: ['TcpClose', 'TcpEstablished'] });
  node.run('web', { [JNI]: 8 * MI }, { app: 'web' });
  node.run('other', { [JNI]: 8 * MI }, { app: 'other' });
  node.folder.put('a.yaml', [aPolicyFor('web', ghostLimit, spec)]);
  await node.pass();
  return node;
}

/** Runs `look` while the runtime dumps. */
function duringDump(node: FakeNode, look: () => Promise<void> | void): void {
  const limit = node.runtime.ghostLimitBytes;
  node.runtime.ghostLimitBytes = async () => {
    await look();
    return limit();
  };
}

describe('a checkpoint that works', () => {
  test('the lines of the scope Checkpoint stand while that container is dumped, and the file is as before', async () => {
    const node = await aNode(
      { [RUNC_CONF]: '# theirs' },
      { fixed: '8Mi' },
      { scope: 'Checkpoint', criuOptions: ['TcpClose'] },
    );
    let seen: readonly string[] = [];
    duringDump(node, () => {
      seen = node.ownLines;
    });
    const result = await node.checkpoint('web');
    expect(seen).toEqual(['ghost-limit 8388608', 'tcp-close']);
    expect(result).toEqual({
      name: 'web',
      result: 'Succeeded',
      archive: {
        path: '/var/lib/ghostlimit/checkpoints/web/ghostlimit-2026-11-23t10-00-00-000z',
        sizeBytes: 8 * MI + 65_536,
        createdTime: '2026-11-23T10:00:00.000Z',
      },
      durationSeconds: 0,
      attempts: 1,
    });
    expect(node.conf).toBe('# theirs');
    expect(node.measured).toContain('checkpoint docker Succeeded Checkpointed 0');
  });

  test('the neighbour, dumped right after, is still refused', async () => {
    const node = await aNode();
    await node.checkpoint('web');
    expect(await node.checkpoint('other')).toMatchObject({
      result: 'Failed',
      reason: 'GhostLimitExceeded',
      attempts: 0,
    });
  });

  test('an engine that runs at the same time sees the lines and leaves them', async () => {
    const node = await aNode({}, { fixed: '8Mi' }, { scope: 'Checkpoint' });
    const agent = node.startEngine();
    const seen: unknown[] = [];
    duringDump(node, async () => {
      const { dumpRunning } = await agent.reconcile();
      seen.push(dumpRunning, node.ownLines);
    });
    await node.checkpoint('web');
    expect(seen).toEqual([true, ['ghost-limit 8388608']]);
    expect((await agent.reconcile()).dumpRunning).toBe(false);
    expect(node.conf).toBeNull();
  });

  test('of opposites the option of the container that is dumped stands', async () => {
    const node = await aNode({}, { fixed: '8Mi' }, { scope: 'Checkpoint', criuOptions: ['TcpClose'] });
    node.folder.put('b.yaml', [aPolicyFor('other', { fixed: '2Mi' }, { criuOptions: ['TcpEstablished'] })]);
    await node.pass();
    expect(node.ownLines).toEqual(['ghost-limit 2097152', 'tcp-established']);
    duringDump(node, () => {
      expect(node.ownLines).toEqual(['ghost-limit 8388608', 'tcp-close']);
    });
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
    expect(node.ownLines).toEqual(['ghost-limit 2097152', 'tcp-established']);
  });

  test('an auto target is raised to what the scan of now finds', async () => {
    const node = await aNode({}, { auto: { maximum: '16Mi' } }, {});
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
  });

  test('two at once take turns, and both find their lines', async () => {
    const node = await aNode();
    node.folder.put('b.yaml', [aPolicyFor('other', { fixed: '9Mi' }, { scope: 'Checkpoint' })]);
    await node.pass();
    const seen: (readonly string[])[] = [];
    duringDump(node, async () => {
      await atRest();
      seen.push(node.ownLines);
    });
    const results = await Promise.all([node.checkpoint('web', 60_000), node.checkpoint('other', 60_000)]);
    expect(results).toMatchObject([{ result: 'Succeeded' }, { result: 'Succeeded' }]);
    expect(seen).toEqual([['ghost-limit 8388608'], ['ghost-limit 9437184']]);
    expect(node.conf).toBeNull();
  });
});

describe('what is known to fail is not attempted', () => {
  test('a ghost file over the limit: the file, its size, and the policy to change', async () => {
    const node = await aNode({}, { fixed: '4Mi' }, {});
    expect(await node.checkpoint('web')).toEqual({
      name: 'web',
      result: 'Failed',
      reason: 'GhostLimitExceeded',
      message:
        'not attempted: the deleted file /tmp/libnetty.so has 8388608 bytes and ghost-limit is 4194304',
      hint: 'raise ghostLimit.fixed of target web of CheckpointPolicy default/web to at least 8388608 (8Mi)',
      ghostFile: { path: JNI, bytes: 8 * MI },
      requiredGhostLimitBytes: 8 * MI,
      attempts: 0,
    });
    expect(node.runtime.calls).toEqual([]);
  });

  test.each([
    ['no line yet', {}, 'add the line "ghost-limit 8388608" to /etc/criu/runc.conf'],
    [
      'a line of theirs',
      { [RUNC_CONF]: '#\nghost-limit 2M\n' },
      'change line 2 of /etc/criu/runc.conf to "ghost-limit 8388608"',
    ],
  ])('without a policy: the line to write (%s)', async (_sentence, files, hint) => {
    const node = await aNode(files);
    expect((await node.checkpoint('other')).hint).toContain(hint);
  });

  test.each([
    ['a quarter too little', { fixed: '6Mi' }, {}, 'raise ghostLimit.fixed of target web of'],
    ['auto up to 4Mi', { auto: { maximum: '4Mi' } }, {}, 'raise ghostLimit.auto.maximum of target web of'],
    [
      'options only',
      {},
      { targets: [{ name: 'web', selector: {} }], criuOptions: ['TcpClose'] },
      'set ghostLimit.fixed of target web of',
    ],
    [
      'Audit with enough',
      { fixed: '8Mi' },
      { mode: 'Audit' },
      'target web of CheckpointPolicy default/web would allow it: set mode of its policy to Enforce',
    ],
    [
      'Audit with too little',
      { fixed: '4Mi' },
      { mode: 'Audit' },
      'to at least 8388608 (8Mi), and set mode of its policy to Enforce',
    ],
  ])('the hint for a policy: %s', async (_sentence, ghostLimit, spec, hint) => {
    const node = await aNode({}, ghostLimit, spec);
    expect((await node.checkpoint('web')).hint).toContain(hint);
  });

  test('a file that could not be written: the hint says so', async () => {
    const node = await aNode();
    node.files.fail('create', 'EROFS', { always: true });
    const { reason, hint } = await node.checkpoint('web');
    expect(reason).toBe('GhostLimitExceeded');
    expect(hint).toMatch(
      /^target web of .* allows it, but the file does not say so: cannot write \/etc\/criu\/runc\.conf: EROFS/,
    );
  });

  test.each([[RUNC_CONF], [DEFAULT_CONF]])('%s that CRIU refuses: the line is named', async (path) => {
    const node = await aNode({ [path]: 'link-remap\n# x\nfile-locks true\ntcp-established=true\n' });
    const result = await node.checkpoint('web');
    expect(result).toMatchObject({ reason: 'ConfigInvalid', attempts: 0 });
    expect(result.message).toContain(`${path} line 4`);
    expect(node.runtime.calls).toEqual([]);
  });

  test('a file of which CRIU reads only a part is no reason to refuse', async () => {
    const node = await aNode({ [RUNC_CONF]: 'ghost-limit 64M\n \0\nfile-locks\n' });
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
  });

  test('a file that cannot be read: the dump tells', async () => {
    const node = await aNode({ [RUNC_CONF]: '# theirs' });
    node.files.fail('openForRead', 'EIO', { always: true });
    expect(await node.checkpoint('web')).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 1 });
  });

  test.each([
    [
      'stopped',
      (node: FakeNode) => {
        node.runtime.stop('web');
      },
      'ContainerNotRunning',
      'container web is stopped, not running',
    ],
    [
      'paused by the setting',
      (node: FakeNode) => {
        node.settings = { ...node.settings, checkpointsPaused: true };
      },
      'CheckpointsPaused',
      'checkpoints are paused by the setting checkpointsPaused',
    ],
  ])('%s', async (_sentence, change, reason, message) => {
    const node = await aNode();
    change(node);
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Failed', reason, message, attempts: 0 });
    expect(node.runtime.calls).toEqual([]);
  });

  test('another dump that does not end in time', async () => {
    const node = await aNode();
    await node.state.asProcess(7).lock(DUMP_LOCK, 0);
    const result = await node.checkpoint('web', 20);
    expect(result).toMatchObject({ reason: 'DeadlineExceeded', attempts: 0 });
    expect(node.conf).toBeNull();
  });

  test('which size counts depends on the version of CRIU: blocks since 3.18', async () => {
    const node = await aNode({}, { fixed: '4Mi' });
    const pid = node.run('web', {}, { app: 'web' });
    const sparse = {
      path: JNI,
      kind: 'Fd' as const,
      remap: 'Ghost' as const,
      sizeBytes: 8 * MI,
      allocatedBytes: MI,
      references: 1,
    };
    node.scanner.setProcess(pid, { files: [sparse] });
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
    node.clock.jump(1);
    node.criuVersion = '3.17.1';
    expect(await node.checkpoint('web')).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 0 });
  });
});

describe('a dump that fails', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await aNode({}, { fixed: '4Mi' }, {});
    // The scan saw nothing before: the file came in between.
    const pid = node.run('web', { [JNI]: 8 * MI }, { app: 'web' });
    node.holds(pid, {});
  });

  test('on a ghost file: what CRIU said, and the smallest limit that would do, by a scan of now', async () => {
    duringDump(node, async () => {
      const found = await node.runtime.find('web');
      node.holds(found?.pid ?? 0, { [JNI]: 8 * MI, '/tmp/larger': 12 * MI });
    });
    const result = await node.checkpoint('web');
    expect(result).toMatchObject({
      reason: 'GhostLimitExceeded',
      ghostFile: { path: JNI, bytes: 8 * MI },
      requiredGhostLimitBytes: 12 * MI,
      hint: 'raise ghostLimit.fixed of target web of CheckpointPolicy default/web to at least 12582912 (12Mi)',
      attempts: 1,
    });
    expect(ContainerResultSchema.safeParse(result).success).toBe(true);
  });

  test('without a scan: what CRIU said is all there is', async () => {
    expect(await node.checkpoint('web')).toMatchObject({ requiredGhostLimitBytes: 8 * MI });
  });

  test('a file name that would write on the terminal is escaped', async () => {
    const pid = node.run('web', { '/tmp/\u001b[2Jx': 8 * MI }, { app: 'web' });
    node.holds(pid, {});
    const { ghostFile } = await node.checkpoint('web');
    expect(ghostFile?.path).toBe('/tmp/\\x1b[2Jx');
  });

  test.each([
    [
      'the annotation names another file',
      '/etc/criu/own.conf',
      'the container reads /etc/criu/own.conf by the annotation org.criu.config: put "ghost-limit 8388608" there',
    ],
    ['the annotation is empty', '', 'the container reads no CRIU file, by the annotation org.criu.config'],
  ])('a container that reads another file: %s', async (_sentence, criuConfigAnnotation, hint) => {
    node.runtime.add({ id: 'web', criuConfigAnnotation, labels: { app: 'web' } }, [
      { path: JNI, bytes: 8 * MI },
    ]);
    const result = await node.checkpoint('web');
    expect(result).toMatchObject({ reason: 'GhostLimitExceeded', attempts: 1 });
    expect(result.hint).toContain(hint);
  });

  test('in time-out', async () => {
    node.run('web', {}, { app: 'web' });
    node.runtime.hang = Promise.resolve();
    expect(await node.checkpoint('web')).toMatchObject({ reason: 'TimedOut', attempts: 1 });
  });

  test('as the engine is gone', async () => {
    node.runtime.checkpoint = () => Promise.reject(new RuntimeUnavailable('connect ECONNREFUSED\n'));
    expect(await node.checkpoint('web')).toMatchObject({
      result: 'Failed',
      reason: 'RuntimeUnavailable',
      message: 'docker does not answer: connect ECONNREFUSED\\n',
      attempts: 1,
    });
  });
});

describe('the lines are taken back, whatever happens', () => {
  test('an error that no port knows is passed on', async () => {
    const node = await aNode();
    node.runtime.checkpoint = () => {
      expect(node.ownLines).toEqual(['ghost-limit 8388608']);
      return Promise.reject(new TypeError('a bug'));
    };
    await expect(node.checkpoint('web')).rejects.toThrow('a bug');
    expect(node.conf).toBeNull();
    expect(node.state.text('dump-lease.json')).toBeNull();
    await (await node.state.lock(DUMP_LOCK, 0)).release();
  });

  test('the state folder fails after the dump: the result is still told, and the next pass takes the lines back', async () => {
    const node = await aNode();
    const commandParts = await node.checkpointParts();
    const remove = commandParts.state.remove.bind(commandParts.state);
    let broken = true;
    commandParts.state.remove = (name) => (broken ? Promise.reject(new Error('EIO')) : remove(name));
    node.checkpointParts = () => Promise.resolve(commandParts);
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
    expect(node.logged).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: 'lines of a checkpoint not taken back, the next pass will',
      }),
    );
    broken = false;
    await node.pass();
    expect(node.conf).toBeNull();
  });

  test('a lock of the files that is held too long is a rejection, with the lock of the dump free again', async () => {
    const node = await aNode();
    const lock = node.state.asProcess(200).lock.bind(node.state.asProcess(200));
    const parts = await node.checkpointParts();
    await node.state.lock(FILES_LOCK, 0);
    parts.state.lock = (name) => lock(name, 0);
    node.checkpointParts = () => Promise.resolve(parts);
    await expect(node.checkpoint('web')).rejects.toThrow('lock files is held by process 100');
    await (await node.state.lock(DUMP_LOCK, 0)).release();
    expect(node.state.text('dump-lease.json')).toBeNull();
  });
});

test('results fit the schema of the kind', async () => {
  const node = await aNode({}, { fixed: '4Mi' });
  const containers = [await node.checkpoint('web'), await node.checkpoint('other')];
  const { containers: schema } = CheckpointRequestSchema.shape.status.shape;
  expect(schema.safeParse(containers).success).toBe(true);
});
