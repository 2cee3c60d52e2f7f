import { describe, expect, test } from '@jest/globals';
import { aPolicyFor } from '../../../builders/policies.ts';
import { aGhostFile } from '../../../fakes/fake-ghost-scanner.ts';
import { FakeNode, RUNC_CONF } from '../../../fakes/fake-node.ts';

const MI = 2 ** 20;
const GI = 2 ** 30;
const ARCHIVES = '/var/lib/ghostlimit/checkpoints';

/** One container of runc with `residentBytes` of memory. */
function aNode(residentBytes = 0, engine: 'runc' | 'docker' | 'containerd' = 'runc'): FakeNode {
  const node = new FakeNode({}, { allowedCriuOptions: ['LinkRemap', 'TcpClose', 'TcpEstablished'] });
  Object.assign(node.runtime, { name: engine });
  const pid = node.run('web', {}, { app: 'web' });
  node.scanner.setProcess(pid, { residentBytes });
  return node;
}

async function pidOf(node: FakeNode, name = 'web'): Promise<number> {
  return (await node.runtime.find(name))?.pid ?? 0;
}

describe('free space', () => {
  test('too little: how much is needed and how much is free', async () => {
    const node = aNode(100 * MI);
    node.freeBytes.set(ARCHIVES, 200 * MI);
    const result = await node.checkpoint('web');
    expect(result).toMatchObject({ result: 'Failed', reason: 'NoSpace', attempts: 0 });
    expect(result.message).toBe(
      'not attempted: the checkpoint may need 461373440 bytes (440 MiB) in /var/lib/ghostlimit/checkpoints and 209715200 bytes (200 MiB) are free there',
    );
    expect(result.hint).toContain('FreeSpace');
    expect(node.runtime.calls).toEqual([]);
  });

  test('ghost files count', async () => {
    const node = aNode();
    node.scanner.setProcess(await pidOf(node), { files: [aGhostFile('/tmp/a', MI)] });
    node.freeBytes.set(ARCHIVES, 4 * MI);
    expect(await node.checkpoint('web')).toMatchObject({ reason: 'NoSpace' });
  });

  test.each([
    ['enough', 462 * MI, {}],
    ['skipped', 0, { skipChecks: ['FreeSpace' as const] }],
  ])('%s', async (_sentence, freeBytes, order) => {
    const node = aNode(100 * MI);
    node.freeBytes.set(ARCHIVES, freeBytes);
    expect(await node.checkpoint('web', 120_000, order)).toMatchObject({ result: 'Succeeded' });
  });

  test('Docker keeps checkpoints in a store of its own', async () => {
    const node = aNode(100 * MI, 'docker');
    node.freeBytes.set(ARCHIVES, 0);
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
    node.clock.jump(1);
    node.freeBytes.set('/var/lib/docker', 0);
    expect(await node.checkpoint('web')).toMatchObject({ reason: 'NoSpace' });
  });

  test('a disk that does not tell, and a container that could not be scanned: the dump tells', async () => {
    const node = aNode(100 * MI);
    const parts = await node.checkpointParts();
    node.checkpointParts = () =>
      Promise.resolve({ ...parts, archives: { space: () => Promise.reject(new Error('EIO')) } });
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
    expect(node.logged).toContainEqual(
      expect.objectContaining({ message: 'free space not known before a checkpoint' }),
    );
  });
});

describe('the predicted pause', () => {
  test('longer than the probe bears: the numbers', async () => {
    const node = aNode(2 * GI, 'containerd');
    const result = await node.checkpoint('web', 120_000, { tolerablePauseSeconds: 10 });
    expect(result).toMatchObject({ reason: 'PauseTooLong', attempts: 0 });
    expect(result.message).toBe(
      'not attempted: the container would stand still for about 10.0 s (2147483648 bytes (2 GiB) of memory at 5.00 s/GiB), and its liveness probe has it restarted after 10 s',
    );
    expect(node.runtime.calls).toEqual([]);
  });

  test.each([
    ['borne', { tolerablePauseSeconds: 10.1 }],
    ['nobody looks', { tolerablePauseSeconds: null }],
    ['nobody says', {}],
    ['skipped', { tolerablePauseSeconds: 1, skipChecks: ['PredictedPause' as const] }],
  ])('%s', async (_sentence, order) => {
    expect(await aNode(2 * GI, 'containerd').checkpoint('web', 120_000, order)).toMatchObject({
      result: 'Succeeded',
    });
  });

  test('goes by what dumps of this node took, each engine for itself, also after a restart', async () => {
    const node = aNode(GI, 'containerd');
    const dump = node.runtime.checkpoint.bind(node.runtime);
    node.runtime.checkpoint = (call) => {
      node.clock.jump(510);
      return dump(call);
    };
    for (let count = 0; count < 3; count += 1) await node.checkpoint('web');
    expect(JSON.parse(node.state.text('pause-rates.json') ?? '')).toEqual({ containerd: [0.5, 0.5, 0.5] });
    // At 5 s/GiB this would be refused.
    expect(await node.checkpoint('web', 120_000, { tolerablePauseSeconds: 1 })).toMatchObject({
      result: 'Succeeded',
    });
  });

  test('a dump that failed teaches nothing', async () => {
    const node = aNode(GI);
    node.runtime.configFault = 'Option';
    await node.checkpoint('web');
    expect(node.state.text('pause-rates.json')).toBeNull();
  });

  test('what was learned cannot be kept: the result is told all the same', async () => {
    const node = aNode(GI);
    const parts = await node.checkpointParts();
    const write = parts.state.write.bind(parts.state);
    parts.state.write = (name, content) =>
      name === 'pause-rates.json' ? Promise.reject(new Error('EIO')) : write(name, content);
    node.checkpointParts = () => Promise.resolve(parts);
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
  });
});

describe('a blocker', () => {
  test.each([['IoUring'], ['NestedNamespace']])('%s: not attempted', async (code) => {
    const node = aNode();
    node.scanner.setProcess(await pidOf(node), { blockers: [{ code, message: 'process 17 has it' }] });
    expect(await node.checkpoint('web')).toMatchObject({
      reason: code,
      message: 'not attempted: process 17 has it',
      attempts: 0,
    });
    expect(node.runtime.calls).toEqual([]);
  });

  test('one that may be gone by then: attempted', async () => {
    const node = aNode();
    node.scanner.setProcess(await pidOf(node), { blockers: [{ code: 'TaskState', message: 'traced' }] });
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded', attempts: 1 });
  });

  const linked = aGhostFile('/tmp/a', MI, { remap: 'LinkRemap' });

  test('a file without its name, without LinkRemap: which policy to change', async () => {
    const node = aNode();
    node.scanner.setProcess(await pidOf(node), { files: [linked] });
    node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '2Mi' }, { scope: 'Checkpoint' })]);
    await node.pass();
    const result = await node.checkpoint('web');
    expect(result).toMatchObject({ reason: 'LinkRemapRequired', attempts: 0 });
    expect(result.hint).toContain('Add LinkRemap to criuOptions of CheckpointPolicy default/web');
  });

  test('with LinkRemap of a policy, of scope Checkpoint: attempted, and the option is gone afterwards', async () => {
    const node = aNode();
    node.scanner.setProcess(await pidOf(node), { files: [linked] });
    const spec = { scope: 'Checkpoint', criuOptions: ['LinkRemap'] };
    node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '2Mi' }, spec)]);
    await node.pass();
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
    expect(node.conf).toBeNull();
  });

  test.each([
    ['with a line of theirs', { [RUNC_CONF]: 'link-remap\n' }, true],
    ['with one of theirs that another takes back', { [RUNC_CONF]: 'link-remap\nno-link-remap\n' }, false],
    ['with one of theirs in default.conf', { '/etc/criu/default.conf': 'link-remap\n' }, true],
  ])('%s', async (_sentence, files, attempted) => {
    const node = aNode();
    for (const [path, text] of Object.entries(files)) node.files.put(path, text);
    node.scanner.setProcess(await pidOf(node), { files: [linked] });
    expect((await node.checkpoint('web')).attempts).toBe(attempted ? 1 : 0);
  });

  test('a container that reads a file of its own: the dump tells', async () => {
    const node = aNode();
    const { pid } = node.runtime.add({ id: 'web', criuConfigAnnotation: '/etc/criu/own.conf' });
    node.scanner.setProcess(pid ?? 0, { files: [linked] });
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded' });
  });
});

test('CRIU answers as to a file that it refuses, and the files are fine: the hint sends nobody to them', async () => {
  const node = aNode();
  node.runtime.configFault = 'Option';
  const { reason, hint } = await node.checkpoint('web');
  expect(reason).toBe('ConfigInvalid');
  expect(hint).toMatch(/^The CRIU files in \/etc\/criu are fine, .*CRIU_CONFIG_FILE.*CAP_SYS_ADMIN/);
});

describe('what is known of the container may be old', () => {
  test('it stopped while another dump was awaited', async () => {
    const node = aNode();
    const find = node.runtime.find.bind(node.runtime);
    const pid = await pidOf(node);
    node.runtime.find = async (name) => {
      const found = await find(name);
      // Once it was found it ends.
      node.runtime.stop('web');
      node.scanner.endProcess(pid);
      return found;
    };
    expect(await node.checkpoint('web')).toMatchObject({
      reason: 'ContainerNotRunning',
      message: 'container web is stopped, not running',
      attempts: 0,
    });
    expect(node.runtime.calls).toEqual([]);
  });

  test('it was removed', async () => {
    const node = aNode();
    const find = node.runtime.find.bind(node.runtime);
    const pid = await pidOf(node);
    node.runtime.find = async (name) => {
      const found = await find(name);
      node.runtime.remove('web');
      node.scanner.endProcess(pid);
      return found;
    };
    expect(await node.checkpoint('web')).toMatchObject({ message: 'container web is gone, not running' });
  });

  test('it was started anew: the call is about the new one', async () => {
    const node = aNode();
    const find = node.runtime.find.bind(node.runtime);
    const pid = await pidOf(node);
    let isFirst = true;
    node.runtime.find = async (name) => {
      const found = await find(name);
      if (isFirst) node.run('web', {}, { app: 'web' });
      node.scanner.endProcess(pid);
      isFirst = false;
      return found;
    };
    expect(await node.checkpoint('web')).toMatchObject({ result: 'Succeeded', attempts: 1 });
    expect(node.runtime.calls.map(({ container }) => container.pid)).not.toContain(pid);
  });
});

describe('options that exclude each other', () => {
  async function aConflict(scope: 'Node' | 'Checkpoint'): Promise<FakeNode> {
    const node = aNode();
    node.folder.put('a.yaml', [
      aPolicyFor('web', { fixed: '2Mi' }, { scope: 'Checkpoint', criuOptions: ['TcpClose'] }),
    ]);
    node.folder.put('b.yaml', [
      Object.assign(
        aPolicyFor('web', { fixed: '2Mi' }, { scope, criuOptions: ['TcpEstablished'] }) as object,
        {
          metadata: { name: 'other' },
        },
      ),
    ]);
    await node.pass();
    return node;
  }

  test.each([['Checkpoint' as const], ['Node' as const]])(
    'neither stands while the container is dumped, and the result says so (scope %s)',
    async (scope) => {
      const node = await aConflict(scope);
      let seen: readonly string[] = [];
      const limit = node.runtime.ghostLimitBytes;
      node.runtime.ghostLimitBytes = () => {
        seen = node.ownLines;
        return limit();
      };
      const result = await node.checkpoint('web');
      expect(seen).toEqual(['ghost-limit 2097152']);
      expect(result).toMatchObject({ result: 'Succeeded' });
      expect(result.message).toBe(
        'TcpEstablished and TcpClose exclude each other and are both asked for, by CheckpointPolicy default/web and CheckpointPolicy default/other: neither was in force',
      );
      expect(node.ownLines).toEqual(scope === 'Node' ? ['ghost-limit 2097152', 'tcp-established'] : []);
    },
  );

  test('the report names the policy and the container', async () => {
    const node = await aConflict('Checkpoint');
    const { policies } = await node.pass();
    expect(policies).toMatchObject([
      {
        state: 'Failing',
        reason: 'OptionConflict',
        message:
          'TcpEstablished and TcpClose are asked for by policies of container web and exclude each other: neither is in force while it is dumped',
      },
      { state: 'Failing', reason: 'OptionConflict' },
    ]);
  });
});
