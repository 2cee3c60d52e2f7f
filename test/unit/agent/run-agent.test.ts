import { afterEach, describe, expect, test } from '@jest/globals';
import { runAgent, type RunningAgent } from '../../../src/agent/run-agent.ts';
import { DUMP_LOCK, FILES_LOCK } from '../../../src/node-engine/documents.ts';
import { aPolicyFor } from '../../builders/policies.ts';
import { atRest } from '../../fakes/fake-clock.ts';
import { FakeNode, RUNC_CONF } from '../../fakes/fake-node.ts';

const MINUTE_MS = 60_000;

/** An agent whose passes can be counted, and held in the middle: `hold()` lets the next ones wait until `go()`. */
class Watched {
  readonly node: FakeNode;
  readonly agent: RunningAgent;
  /** When each pass began, milliseconds. */
  readonly passes: number[] = [];
  atOnce = 0;
  mostAtOnce = 0;
  #gate: Promise<void> | null = null;
  go: () => void = () => undefined;
  readonly #stop = new AbortController();

  constructor(node = new FakeNode()) {
    this.node = node;
    const parts = node.engineParts();
    const { plan } = parts;
    const read = async () => {
      this.passes.push(node.clock.monotonicMs());
      this.atOnce += 1;
      this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
      await this.#gate;
      return plan.read();
    };
    const sink = {
      publish: (report: Parameters<typeof parts.sink.publish>[0]) => {
        this.atOnce -= 1;
        return parts.sink.publish(report);
      },
    };
    this.agent = runAgent({ ...parts, plan: { ...plan, read }, sink }, this.#stop.signal);
  }

  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.go = () => {
        this.#gate = null;
        resolve();
      };
    });
  }

  abort(): void {
    this.#stop.abort();
  }

  async stop(): Promise<void> {
    this.go();
    this.abort();
    await this.agent.done;
  }
}

let running: Watched | null = null;
const start = (node?: FakeNode): Watched => (running = new Watched(node));
afterEach(async () => {
  await running?.stop();
  running = null;
});

describe('when a pass is made', () => {
  test('at the start; then, with nothing going on, once a minute', async () => {
    const { node, passes } = start();
    await node.clock.advance(3 * MINUTE_MS);
    expect(passes).toEqual([0, 60_020, 120_040]);
  });

  test('when a source speaks, 20 ms after', async () => {
    const { node, passes } = start();
    await node.clock.advance(1_000);
    node.folder.put('a.yaml', []);
    await node.clock.advance(1_000);
    node.run('web');
    await node.clock.advance(1_000);
    expect(passes).toEqual([0, 1_020, 2_020]);
  });

  test('a burst is one pass', async () => {
    const { node, passes } = start();
    await node.clock.advance(1_000);
    for (let index = 0; index < 50; index += 1) node.folder.put('a.yaml', []);
    await node.clock.advance(10);
    for (let index = 0; index < 50; index += 1) node.run(`c${index}`);
    await node.clock.advance(10_000);
    expect(passes).toEqual([0, 1_020]);
  });

  test('a burst during a pass is one more, never two at once', async () => {
    const watched = start();
    const { node, passes } = watched;
    await node.clock.advance(1_000);
    watched.hold();
    node.folder.put('a.yaml', []);
    await node.clock.advance(1_000);
    for (let index = 0; index < 50; index += 1) {
      node.folder.put('a.yaml', []);
      await node.clock.advance(100);
    }
    expect(passes).toEqual([0, 1_020]);
    watched.go();
    await node.clock.advance(10_000);
    expect(passes).toEqual([0, 1_020, 7_020]);
    expect(watched.mostAtOnce).toBe(1);
  });

  test('when a scan is due', async () => {
    const { node, passes } = start();
    node.run('web', {}, { app: 'web' });
    node.folder.put('a.yaml', [aPolicyFor('web', { auto: {} })]);
    await node.clock.advance(10_000);
    // The first scan at 0 is news and gives a second pass at once; the next ones are due 5 s and 30 s after.
    expect(passes.filter((at) => at >= 1_000)).toEqual([5_020]);
    expect(node.scanner.scanned.length).toBe(2);
    await node.clock.advance(25_000);
    expect(node.scanner.scanned.length).toBe(3);
  });

  test('soon again while a dump runs, and its lines go within 2 s of its owner', async () => {
    const { node } = start();
    await node.clock.advance(1_000);
    const lease = { ghostLimitBytes: 2 ** 23, options: [], containerId: 'c', takenAt: '' };
    await node.state.write('dump-lease.json', Buffer.from(JSON.stringify(lease)));
    await node.state.asProcess(7).lock(DUMP_LOCK, 0);
    node.folder.put('a.yaml', []);
    await node.clock.advance(10_000);
    expect(node.ownLines).toEqual(['ghost-limit 8388608']);
    node.state.kill(7);
    await node.clock.advance(2_020);
    expect(node.conf).toBeNull();
  });
});

describe('the file', () => {
  const aNode = (): FakeNode => {
    const node = new FakeNode({ [RUNC_CONF]: '# theirs\n' });
    node.run('web', {}, { app: 'web' });
    node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '3Mi' })]);
    return node;
  };

  test('an edit of somebody else is answered at once', async () => {
    const { node } = start(aNode());
    await node.clock.advance(10_000);
    node.files.put(RUNC_CONF, '# mine\n');
    await node.clock.advance(20);
    expect(node.ownLines).toEqual(['ghost-limit 3145728']);
    expect(node.conf).toMatch(/^# mine\n# BEGIN/);
  });

  test('our own write is looked at once more, not for ever', async () => {
    const { node, passes } = start(aNode());
    await node.clock.advance(30_000);
    expect(passes.length).toBeLessThanOrEqual(5);
    expect(passes.filter((at) => at > 5_100)).toEqual([]);
  });

  test('a write that fails is tried again, slower each time, though each attempt leaves traces in the directory', async () => {
    const node = aNode();
    node.files.fail('rename', 'EBUSY', { always: true });
    const { passes } = start(node);
    await node.clock.advance(5 * MINUTE_MS);
    // 500 ms, 1, 2, 4, 8, 16 and then every 30 s; scans add a few.
    expect(passes.length).toBeLessThan(30);
    expect(node.reports.at(-1)?.files).toMatchObject([{ state: 'FileMountedOver' }]);
    node.files.heal();
    await node.clock.advance(31_000);
    expect(node.ownLines).toEqual(['ghost-limit 3145728']);
  });

  test('that somebody has open for writing is looked at again soon, and not as one that cannot be written', async () => {
    const { node, passes } = start(aNode());
    await node.clock.advance(10_000);
    const before = passes.length;
    const writer = node.files.open(RUNC_CONF);
    writer.write('');
    await node.clock.advance(20_000);
    expect(node.reports.at(-1)?.files).toMatchObject([{ state: 'FileBeingWritten' }]);
    // A second of waiting in each, and half a second between them.
    expect(passes.length - before).toBeGreaterThan(10);
    expect(passes.length - before).toBeLessThan(17);
    writer.write('# mine\n');
    writer.close();
    await node.clock.advance(2_000);
    expect(node.conf).toMatch(/^# mine\n# BEGIN/);
    expect(node.reports.at(-1)?.files).toMatchObject([{ state: 'InSync' }]);
  });

  test('that is never closed: our lines come after half a minute, and what is written after comes at once', async () => {
    const { node } = start(aNode());
    await node.clock.advance(10_000);
    const writer = node.files.open(RUNC_CONF);
    writer.write('# first\n');
    await node.clock.advance(35_000);
    expect(node.conf).toMatch(/^# first\n# BEGIN/);
    await node.clock.advance(10_000);
    writer.write('# second\n');
    writer.close();
    await node.clock.advance(1_000);
    expect(node.conf).toMatch(/^# second\n# BEGIN/);
  });

  test('another program that takes our lines out each time does not make us write all the time', async () => {
    const node = aNode();
    const { passes } = start(node);
    await node.clock.advance(10_000);
    const before = passes.length;
    const stop = new AbortController();
    node.files.watch(
      RUNC_CONF,
      () => {
        if (node.ownLines.length > 0) node.files.put(RUNC_CONF, '# theirs\n');
      },
      stop.signal,
    );
    node.files.put(RUNC_CONF, '# theirs\n');
    await node.clock.advance(5 * MINUTE_MS);
    stop.abort();
    expect(passes.length - before).toBeLessThan(30);
    expect(node.measured.filter((call) => call === `drift ${RUNC_CONF}`).length).toBeLessThan(30);
    await node.clock.advance(MINUTE_MS);
    expect(node.ownLines).toEqual(['ghost-limit 3145728']);
  });
});

describe('a pass that fails', () => {
  test('is tried again, slower each time; health tells; then all is well again', async () => {
    const { node, passes, agent } = start();
    await node.clock.advance(1_000);
    expect([agent.health.ready(), agent.health.problem()]).toEqual([true, null]);
    node.state.fault = new Error('EIO: i/o error');
    node.folder.put('a.yaml', []);
    await node.clock.advance(2 * MINUTE_MS);
    expect(agent.health.problem()).toBe('EIO: i/o error');
    expect(passes.slice(1)).toEqual([1_020, 1_540, 2_560, 4_580, 8_600, 16_620, 32_640, 62_660, 92_680]);
    expect(node.logged.filter(({ level }) => level === 'error').length).toBe(9);
    expect(node.measured).toContain('reconciled 0 error');
    node.state.fault = null;
    await node.clock.advance(MINUTE_MS);
    expect(agent.health.problem()).toBeNull();
    expect(agent.health.ready()).toBe(true);
  });

  test('at the start: not ready until one went through', async () => {
    const node = new FakeNode();
    node.state.fault = new Error('EIO');
    const { agent } = start(node);
    await node.clock.advance(100);
    expect([agent.health.ready(), agent.health.problem()]).toEqual([false, 'EIO']);
    node.state.fault = null;
    await node.clock.advance(1_000);
    expect([agent.health.ready(), agent.health.problem()]).toEqual([true, null]);
  });

  test('a lock of the files that somebody holds is such a failure', async () => {
    const node = new FakeNode();
    const lock = node.state.lock.bind(node.state);
    node.state.lock = (name) => lock(name, 0);
    const held = await node.state.asProcess(7).lock(FILES_LOCK, 0);
    const { agent } = start(node);
    await node.clock.advance(100);
    expect(agent.health.problem()).toBe('lock files is held by process 7');
    await held.release();
    await node.clock.advance(1_000);
    expect(agent.health.problem()).toBeNull();
  });
});

describe('the end', () => {
  test('lets go of replaced files, and takes what was written into them until then', async () => {
    const node = new FakeNode({ [RUNC_CONF]: '# theirs\n' });
    node.run('web', {}, { app: 'web' });
    node.folder.put('a.yaml', [aPolicyFor('web', { fixed: '3Mi' })]);
    const watched = start(node);
    const writer = node.files.open(RUNC_CONF);
    await node.clock.advance(40_000);
    writer.append('file-locks\n');
    await watched.stop();
    expect(node.conf).toMatch(/^# theirs\nfile-locks\n# BEGIN/);
    expect(node.files.disk.openCount).toBe(0);
  });

  test.each([
    ['at rest', 10_000],
    ['in the first moment', 0],
    ['in the moment after a burst', 10],
  ])('%s: at once, without another pass', async (_sentence, ms) => {
    const watched = start();
    await watched.node.clock.advance(ms);
    const before = watched.passes.length;
    await watched.stop();
    expect(watched.passes.length).toBe(before);
  });

  test('during a pass: that one is finished first', async () => {
    const watched = start();
    await watched.node.clock.advance(1_000);
    watched.hold();
    watched.node.folder.put('a.yaml', []);
    await watched.node.clock.advance(100);
    let isDone = false;
    void watched.agent.done.then(() => {
      isDone = true;
    });
    watched.abort();
    await watched.node.clock.advance(100);
    expect([isDone, watched.atOnce]).toEqual([false, 1]);
    watched.go();
    await watched.agent.done;
    expect(watched.atOnce).toBe(0);
  });

  test('what speaks afterwards wakes nobody', async () => {
    const watched = start();
    await watched.node.clock.advance(100);
    await watched.stop();
    const before = watched.passes.length;
    watched.node.run('web');
    await watched.node.clock.advance(MINUTE_MS);
    await atRest();
    expect(watched.passes.length).toBe(before);
  });
});
