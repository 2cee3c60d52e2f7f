// Other programs that have the CRIU file open while the engine wants to change it: they are waited for, and what they write too late comes back.
import { describe, expect, test } from '@jest/globals';
import type { CheckpointNodeStatus } from '../../../src/api/checkpoint-node.ts';
import type { NodeEngine } from '../../../src/node-engine/node-engine.ts';
import { aPolicyFor } from '../../builders/policies.ts';
import { FakeNode, RUNC_CONF } from '../../fakes/fake-node.ts';

const MIB = 2 ** 20;
const lineOf = (mib: number): string => `ghost-limit ${(mib * MIB).toString()}`;

function aNode(files: Record<string, string> = { [RUNC_CONF]: '# theirs\n' }): FakeNode {
  const node = new FakeNode(files);
  node.run('web', {}, { app: 'web' });
  ask(node, 3);
  return node;
}

function ask(node: FakeNode, mib: number | null): void {
  if (mib === null) node.folder.remove('a.yaml');
  else node.folder.put('a.yaml', [aPolicyFor('web', { fixed: `${mib.toString()}Mi` })]);
}

/** One pass, which may wait up to a second. */
async function pass(node: FakeNode, engine: NodeEngine): Promise<CheckpointNodeStatus> {
  const passing = engine.reconcile();
  await node.clock.advance(1_500);
  return (await passing).report;
}

/** Passes as the agent makes them. */
async function passesFor(node: FakeNode, engine: NodeEngine, ms: number): Promise<CheckpointNodeStatus> {
  const endMs = node.clock.monotonicMs() + ms;
  for (;;) {
    const report = await pass(node, engine);
    if (node.clock.monotonicMs() >= endMs) return report;
  }
}

/** The file without our block. */
const theirs = (node: FakeNode): string | undefined =>
  node.conf?.replace(/# BEGIN ghostlimit[^]*# END ghostlimit\n/, '');

const named = (node: FakeNode, message: string): readonly unknown[] =>
  node.logged.filter((entry) => entry.message === message).map(({ fields }) => fields);

describe('a program that has the file open for writing', () => {
  test('is waited for a second, named in the report, and the file is left alone', async () => {
    const node = aNode();
    const engine = node.startEngine();
    const writer = node.files.open(RUNC_CONF);
    writer.write('');
    const report = await pass(node, engine);
    expect(node.conf).toBe('');
    expect(report.files).toMatchObject([
      {
        state: 'FileBeingWritten',
        managed: false,
        message: `${RUNC_CONF} is open for writing in process ${writer.pid.toString()} (writer): our lines have to wait until it is closed`,
      },
    ]);
    expect(report.conditions[0]).toMatchObject({
      type: 'Ready',
      status: 'False',
      reason: 'FileBeingWritten',
    });
    writer.write('file-locks\n');
    writer.close();
    expect((await pass(node, engine)).files).toMatchObject([{ state: 'InSync', managed: true }]);
    expect(theirs(node)).toBe('file-locks\n');
  });

  test('and closes it within that second: nobody notices', async () => {
    const node = aNode();
    const writer = node.files.open(RUNC_CONF);
    writer.write('');
    const passing = node.startEngine().reconcile();
    await node.clock.advance(600);
    expect(node.conf).toBe('');
    writer.write('file-locks\n');
    writer.close();
    await node.clock.advance(100);
    expect((await passing).report.files).toMatchObject([{ state: 'InSync' }]);
    expect(theirs(node)).toBe('file-locks\n');
    expect(node.ownLines).toEqual([lineOf(3)]);
  });

  test('does not hold up a file that is as it should be', async () => {
    const node = aNode();
    const engine = node.startEngine();
    await pass(node, engine);
    const writer = node.files.open(RUNC_CONF);
    expect((await pass(node, engine)).files).toMatchObject([{ state: 'InSync' }]);
    writer.append('file-locks\n');
    expect((await pass(node, engine)).files).toMatchObject([{ state: 'InSync' }]);
    writer.close();
  });

  test('five names are enough for the report, and what they are called is no text of ours', async () => {
    const node = aNode();
    const writers = Array.from({ length: 7 }, () => node.files.open(RUNC_CONF));
    const [file] = (await pass(node, node.startEngine())).files;
    expect(file?.message).toMatch(/(?:process \d+ \(writer\), ){4}process \d+ \(writer\) and 2 more:/);
    for (const writer of writers) writer.close();
  });

  test('a checkpoint waits for it up to five seconds', async () => {
    const node = aNode();
    const writer = node.files.open(RUNC_CONF);
    writer.write('');
    const taking = node.checkpoint('web');
    await node.clock.advance(4_000);
    writer.write('file-locks\n');
    writer.close();
    await node.clock.advance(200);
    expect(await taking).toMatchObject({ result: 'Succeeded' });
    expect(theirs(node)).toBe('file-locks\n');
  });

  test('and for no longer: its lines are not in force then, and nothing is lost', async () => {
    const node = aNode();
    node.holds(node.run('big', {}, { app: 'web' }), { '/tmp/a.so': 2 * MIB });
    const writer = node.files.open(RUNC_CONF);
    const taking = node.checkpoint('big');
    await node.clock.advance(20_000);
    expect(await taking).toMatchObject({ result: 'Failed', reason: 'GhostLimitExceeded', attempts: 0 });
    writer.append('file-locks\n');
    expect(node.conf).toBe('# theirs\nfile-locks\n');
  });

  test('ten cuts of the file in a row are no fight', async () => {
    const node = aNode();
    const engine = node.startEngine();
    for (let count = 0; count < 10; count += 1) {
      await pass(node, engine);
      const writer = node.files.open(RUNC_CONF);
      writer.write('');
      await pass(node, engine);
      writer.write(`# text ${count.toString()}\n`);
      writer.close();
      expect((await pass(node, engine)).files).toMatchObject([{ state: 'InSync' }]);
    }
    expect(node.ownLines).toEqual([lineOf(3)]);
  });
});

describe('a program that never closes the file', () => {
  const waitedFor = async (): Promise<{
    node: FakeNode;
    engine: NodeEngine;
    writer: ReturnType<FakeNode['files']['open']>;
  }> => {
    const node = aNode();
    const engine = node.startEngine();
    const writer = node.files.open(RUNC_CONF);
    await passesFor(node, engine, 29_000);
    expect(node.ownLines).toEqual([]);
    expect((await passesFor(node, engine, 2_000)).files).toMatchObject([{ state: 'InSync' }]);
    return { node, engine, writer };
  };

  test('keeps our lines out for half a minute and no longer, and the log says who it is', async () => {
    const { node, writer } = await waitedFor();
    expect(node.ownLines).toEqual([lineOf(3)]);
    expect(named(node, 'CRIU file written though others have it open for long')).toEqual([
      { path: RUNC_CONF, writers: `process ${writer.pid.toString()} (writer)` },
    ]);
  });

  test('when it writes then and closes the file, the text comes back at once, with our lines', async () => {
    const { node, engine, writer } = await waitedFor();
    writer.append('file-locks\n');
    writer.close();
    const { settled } = await engine.reconcile();
    expect(settled).toBe(false);
    expect(node.conf).toMatch(/^# theirs\nfile-locks\n# BEGIN ghostlimit/);
    expect(node.ownLines).toEqual([lineOf(3)]);
    expect(named(node, 'text that was written late is back in the CRIU file')).toEqual([
      { path: RUNC_CONF, bytes: 20 },
    ]);
    expect((await engine.reconcile()).settled).toBe(true);
    expect(node.files.disk.names('/etc/criu')).toEqual(['runc.conf']);
  });

  test('while it goes on writing it is waited for, half a minute for each text', async () => {
    const { node, engine, writer } = await waitedFor();
    for (const text of ['one\n', 'one\ntwo\n']) {
      writer.write(`# ${text.slice(0, 2)}`);
      await passesFor(node, engine, 27_000);
      expect(theirs(node)).not.toContain(`# ${text}`);
      writer.write(`# ${text}`);
      await passesFor(node, engine, 4_500);
      expect(theirs(node)).toBe(`# ${text}`);
    }
  });

  test('the text comes back though our lines have changed twice since', async () => {
    const { node, engine, writer } = await waitedFor();
    for (const mib of [5, 7]) {
      ask(node, mib);
      await pass(node, engine);
    }
    writer.append('file-locks\n');
    writer.close();
    await pass(node, engine);
    expect(theirs(node)).toBe('# theirs\nfile-locks\n');
    expect(node.ownLines).toEqual([lineOf(7)]);
  });

  test('and when our lines are gone', async () => {
    const { node, engine, writer } = await waitedFor();
    ask(node, null);
    await pass(node, engine);
    writer.append('file-locks\n');
    writer.close();
    await pass(node, engine);
    expect(node.conf).toBe('# theirs\nfile-locks\n');
    expect(await node.state.list('orig')).toEqual([]);
  });

  test('a change that it makes to our lines only is none', async () => {
    const node = aNode();
    const engine = node.startEngine();
    await pass(node, engine);
    const writer = node.files.open(RUNC_CONF);
    ask(node, 5);
    await passesFor(node, engine, 33_000);
    writer.write((node.conf ?? '').replace('# ghostlimit keeps', '# somebody keeps'));
    writer.close();
    await pass(node, engine);
    expect(node.ownLines).toEqual([lineOf(5)]);
    expect(await node.state.list('late')).toEqual([]);
    expect((await engine.reconcile()).settled).toBe(true);
  });

  test('an end of the agent takes what is there', async () => {
    const { node, engine, writer } = await waitedFor();
    writer.append('file-locks\n');
    await engine.end();
    expect(theirs(node)).toBe('# theirs\nfile-locks\n');
    expect(node.ownLines).toEqual([lineOf(3)]);
    expect(node.files.disk.openCount).toBe(0);
  });

  test('an end without anything late writes nothing', async () => {
    const { node, engine } = await waitedFor();
    const before = node.conf;
    await engine.end();
    expect(node.conf).toBe(before);
    expect(node.logged.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('text that comes late, when somebody else has changed the file', () => {
  const changedMeanwhile = async (): Promise<{
    node: FakeNode;
    engine: NodeEngine;
    writer: ReturnType<FakeNode['files']['open']>;
    document: string;
  }> => {
    const node = aNode();
    const engine = node.startEngine();
    const writer = node.files.open(RUNC_CONF);
    await passesFor(node, engine, 33_000);
    node.files.put(RUNC_CONF, '# changed\n');
    await pass(node, engine);
    writer.append('file-locks\n');
    await passesFor(node, engine, 33_000);
    const [document = ''] = await node.state.list('late');
    return { node, engine, writer, document };
  };

  test('is kept in the state folder, and theirs stays', async () => {
    const { node, document } = await changedMeanwhile();
    // sha256sum of "# theirs\nfile-locks\n"
    expect(document).toBe('late-etc.criu.runc.conf-90819b4a82f2b23d');
    expect(node.state.text(document)).toBe('# theirs\nfile-locks\n');
    expect(theirs(node)).toBe('# changed\n');
    expect(node.ownLines).toEqual([lineOf(3)]);
  });

  test('is said in the log once, and in the report until somebody removes the document, also after a restart', async () => {
    const { node, engine, document } = await changedMeanwhile();
    expect(
      named(
        node,
        'text that was written late into the CRIU file is kept apart: the file has changed meanwhile',
      ),
    ).toEqual([{ path: RUNC_CONF, document, bytes: 20 }]);
    for (const report of [await pass(node, engine), await pass(node, node.startEngine())]) {
      expect(report.problems).toEqual([
        {
          origin: RUNC_CONF,
          reason: 'LateWriteKept',
          message: `text that a program wrote into ${RUNC_CONF} while it was replaced is not in it, as somebody else had changed it meanwhile: it is in "${document}" of the state folder (/var/lib/ghostlimit unless --state-dir says otherwise)`,
        },
      ]);
    }
    await node.state.remove(document);
    expect((await pass(node, engine)).problems).toEqual([]);
  });

  test('what the same program writes after goes into the same document', async () => {
    const { node, engine, writer, document } = await changedMeanwhile();
    writer.append('shell-job\n');
    writer.close();
    await pass(node, engine);
    expect(await node.state.list('late')).toEqual([document]);
    expect(node.state.text(document)).toBe('# theirs\nfile-locks\nshell-job\n');
  });

  test('the same text as theirs is no news', async () => {
    const node = aNode();
    const engine = node.startEngine();
    const writer = node.files.open(RUNC_CONF);
    await passesFor(node, engine, 33_000);
    node.files.put(RUNC_CONF, '# the same\n');
    await pass(node, engine);
    writer.write('# the same\n');
    writer.close();
    await pass(node, engine);
    expect(await node.state.list('late')).toEqual([]);
    expect(theirs(node)).toBe('# the same\n');
  });

  test('a document that cannot be written: the text comes again', async () => {
    const node = aNode();
    const engine = node.startEngine();
    const writer = node.files.open(RUNC_CONF);
    await passesFor(node, engine, 33_000);
    node.files.put(RUNC_CONF, '# changed\n');
    await pass(node, engine);
    writer.append('file-locks\n');
    writer.close();
    const write = node.state.write.bind(node.state);
    node.state.write = () => Promise.reject(new Error('ENOSPC'));
    await expect(pass(node, engine)).rejects.toThrow('ENOSPC');
    node.state.write = write;
    await pass(node, engine);
    expect(await node.state.list('late')).toHaveLength(1);
  });

  test('text that is too large for a CRIU file is kept apart too', async () => {
    const node = aNode();
    const engine = node.startEngine();
    const writer = node.files.open(RUNC_CONF);
    await passesFor(node, engine, 33_000);
    writer.write('#'.repeat(MIB + 1));
    writer.close();
    await pass(node, engine);
    const [document = ''] = await node.state.list('late');
    expect(node.state.text(document)).toHaveLength(MIB + 1);
    expect(theirs(node)).toBe('# theirs\n');
  });
});

describe('after a kill of the agent', () => {
  test('the next one brings the text back', async () => {
    const node = aNode();
    const writer = node.files.open(RUNC_CONF);
    await passesFor(node, node.startEngine(), 33_000);
    node.files.restart('killed');
    writer.append('file-locks\n');
    writer.close();
    const engine = node.startEngine();
    await pass(node, engine);
    expect(theirs(node)).toBe('# theirs\nfile-locks\n');
    expect(node.ownLines).toEqual([lineOf(3)]);
    expect(node.files.disk.names('/etc/criu')).toEqual(['runc.conf']);
  });

  test('also when there was nothing but our lines in the file, and it was removed', async () => {
    const node = aNode({});
    const first = node.startEngine();
    await pass(node, first);
    const writer = node.files.open(RUNC_CONF);
    ask(node, null);
    await passesFor(node, first, 33_000);
    expect(node.conf).toBeNull();
    node.files.restart('killed');
    writer.append('file-locks\n');
    writer.close();
    await pass(node, node.startEngine());
    expect(node.conf).toBe('file-locks\n');
    expect(node.files.disk.names('/etc/criu')).toEqual(['runc.conf']);
  });
});

describe('the first-seen bytes that are kept for people', () => {
  const ORIGINAL = 'original-etc.criu.runc.conf';

  test.each<[string, Record<string, string>, number | null]>([
    ['there is no file, and one of ours comes', {}, 3],
    ['there is no file, and none is wanted', {}, null],
    ['there is a file, and nothing of ours is wanted in it', { [RUNC_CONF]: '# theirs\n' }, null],
  ])('what a crash left of them goes when %s', async (_name, files, mib) => {
    const node = aNode(files);
    ask(node, mib);
    await node.state.write(ORIGINAL, Buffer.from('of long ago\n'));
    await pass(node, node.startEngine());
    expect(await node.state.list('original')).toEqual([]);
  });

  test('and is written anew when our lines come into a file', async () => {
    const node = aNode();
    await node.state.write(ORIGINAL, Buffer.from('of long ago\n'));
    await pass(node, node.startEngine());
    expect(node.state.text(ORIGINAL)).toBe('# theirs\n');
    await node.state.remove(ORIGINAL);
  });

  test('a crash between the bytes and the note leaves nothing for good', async () => {
    const node = aNode();
    const write = node.state.write.bind(node.state);
    node.state.write = (name, content) =>
      name.startsWith('origin-') ? Promise.reject(new Error('killed')) : write(name, content);
    await expect(pass(node, node.startEngine())).rejects.toThrow('killed');
    expect(await node.state.list('orig')).toEqual([ORIGINAL]);
    node.state.write = write;
    ask(node, null);
    await pass(node, node.startEngine());
    expect(await node.state.list('orig')).toEqual([]);
  });
});
