// What every GhostScanner promises, on the fake and on the real one with real processes.
import { afterAll, describe, expect, test } from '@jest/globals';
import { ScanFailed, type GhostScanner } from '../../src/ports/ghost-scanner.ts';
import { aGhostFile, FakeGhostScanner } from '../fakes/fake-ghost-scanner.ts';
import { endAll, holdWithPython, makeFolder } from './held-process.ts';
import { startProcGhostScanner } from './proc-ghost-scanner.ts';

interface Driver {
  readonly scanner: GhostScanner;
  /** Starts a process with a child; each holds one deleted file of so many bytes for each number. */
  startPair(
    parentBytes: readonly number[],
    childBytes: readonly number[],
  ): Promise<{ parent: number; child: number }>;
  endParent(pid: number): Promise<void>;
}

const MAX_PID = 4_194_304;

const scanner = startProcGhostScanner();
const ends = new Map<number, () => Promise<void>>();

const realDriver: Driver = {
  scanner,
  async startPair(parentBytes, childBytes) {
    const program = `
def hold(counts):
    for number, count in enumerate(counts):
        path = "${makeFolder()}/%d-%d" % (os.getpid(), number)
        write(path, count); os.unlink(path)
receive, send = os.pipe()
def work():
    hold([${childBytes.join(',')}])
    os.write(send, b"x")
child = fork_child(work)
hold([${parentBytes.join(',')}])
os.read(receive, 1)
print(child, flush=True)
ready()`;
    const held = await holdWithPython(program);
    const child = Number(/^(\d+)$/m.exec(held.output)?.[1]);
    ends.set(held.pid, held.end);
    return { parent: held.pid, child };
  },
  endParent: async (pid) => {
    await ends.get(pid)?.();
    ends.delete(pid);
  },
};

const fake = new FakeGhostScanner();
let nextPid = 100;

const fakeDriver: Driver = {
  scanner: fake,
  startPair(parentBytes, childBytes) {
    const parent = nextPid++;
    const child = nextPid++;
    const toFiles = (counts: readonly number[]) => counts.map((count, at) => aGhostFile(`/tmp/${at}`, count));
    fake.setProcess(parent, { files: toFiles(parentBytes) });
    fake.setProcess(child, { parentPid: parent, files: toFiles(childBytes) });
    return Promise.resolve({ parent, child });
  },
  endParent(pid) {
    fake.endProcess(pid);
    return Promise.resolve();
  },
};

afterAll(async () => {
  await endAll();
  scanner.close();
});

const failure = async (scan: Promise<unknown>): Promise<unknown> =>
  scan.then(
    () => 'no failure',
    (error: unknown) => error,
  );

describe.each([
  ['FakeGhostScanner', fakeDriver],
  ['ChildGhostScanner', realDriver],
])('%s', (_, driver) => {
  test('finds nothing where nothing is deleted', async () => {
    const { parent } = await driver.startPair([], []);
    expect(await driver.scanner.scan(parent)).toEqual({
      pid: parent,
      requiredGhostLimitBytes: 0,
      linkRemapRequired: false,
      residentBytes: expect.any(Number),
      files: [],
      blockers: [],
      warnings: [],
    });
  });

  test('asks for the largest file of the whole tree, and lists the largest first', async () => {
    const { parent, child } = await driver.startPair([8192, 12_288], [2_097_152, 4096]);
    const whole = await driver.scanner.scan(parent);
    expect(whole.requiredGhostLimitBytes).toBe(2_097_152);
    expect(whole.files.map((file) => file.sizeBytes)).toEqual([2_097_152, 12_288, 8192, 4096]);
    expect(whole.files.map((file) => file.remap)).toEqual(['Ghost', 'Ghost', 'Ghost', 'Ghost']);
    const part = await driver.scanner.scan(child);
    expect(part.pid).toBe(child);
    expect(part.files.map((file) => file.sizeBytes)).toEqual([2_097_152, 4096]);
  });

  test('may be prepared ahead, also more than once', async () => {
    const { parent } = await driver.startPair([8192], []);
    driver.scanner.prepare();
    driver.scanner.prepare();
    expect((await driver.scanner.scan(parent)).requiredGhostLimitBytes).toBe(8192);
  });

  test('serves scans that are asked for at the same moment', async () => {
    const first = await driver.startPair([4096], []);
    const second = await driver.startPair([8192], []);
    const asked = [first, second, first].map(({ parent }) => driver.scanner.scan(parent));
    const scans = await Promise.all(asked);
    expect(scans.map((scan) => scan.requiredGhostLimitBytes)).toEqual([4096, 8192, 4096]);
  });

  test('rejects with ProcessNotFound where there is no process', async () => {
    const error = await failure(driver.scanner.scan(MAX_PID + 1));
    expect(error).toBeInstanceOf(ScanFailed);
    expect(error).toMatchObject({ code: 'ProcessNotFound' });
  });

  test('rejects with ProcessNotFound once the process has ended, and serves others after that', async () => {
    const ended = await driver.startPair([4096], []);
    await driver.endParent(ended.parent);
    expect(await failure(driver.scanner.scan(ended.parent))).toMatchObject({ code: 'ProcessNotFound' });
    const other = await driver.startPair([4096], []);
    expect((await driver.scanner.scan(other.parent)).requiredGhostLimitBytes).toBe(4096);
  });

  test('rejects with ScanAborted when the signal is aborted, and serves others after that', async () => {
    const { parent } = await driver.startPair([4096], []);
    expect(await failure(driver.scanner.scan(parent, AbortSignal.abort()))).toMatchObject({
      code: 'ScanAborted',
    });
    expect((await driver.scanner.scan(parent)).requiredGhostLimitBytes).toBe(4096);
  });
});
