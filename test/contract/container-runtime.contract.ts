// What every container runtime must do, the fake and the real ones alike.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { classifyFailure } from '../../src/domain/checkpoint/classify-failure.ts';
import type { FailureVerdict } from '../../src/domain/checkpoint/classify-failure.ts';
import { RuntimeCheckpointError } from '../../src/ports/container-runtime.ts';
import type {
  CheckpointArchive,
  ContainerRuntime,
  RuntimeContainer,
} from '../../src/ports/container-runtime.ts';

/** One runtime with a host around it, for one test. */
export interface RuntimeRig {
  readonly runtime: ContainerRuntime;
  readonly archiveDirectory: string;
  /** What runs the containers; null: nobody tells the adapter, nor any version. */
  readonly ociRuntime: 'runc' | 'crun' | null;
  /** Whether the runtime keeps checkpoints of one container by name, by the second in which they were taken, or only the last one, whatever its name. */
  readonly keeps: 'ByName' | 'ByTime' | 'LastOnly';
  /** Starts a container that holds a deleted /tmp/ghost.so of so many bytes; resolves when it holds it. Gives its id. */
  start(options: { readonly ghostBytes: number; readonly labels?: Record<string, string> }): Promise<string>;
  /** Ends its processes; the container itself stays. */
  stopContainer(id: string): Promise<void>;
  /** The content of the host's /etc/criu/runc.conf; null: none. */
  setCriuFile(content: string | null): Promise<void>;
  /** From now on a dump hangs with the container's processes stopped, until it is told to go on (at most two minutes). */
  hangDumps(): Promise<DumpHang>;
  /** A number that grows while the container's program runs. */
  counter(id: string): Promise<number>;
  /** What is on the disk under this path: sizes of files, and every mode that lets others than the owner in. null: nothing. */
  look(path: string): Promise<{ readonly sizeBytes: number; readonly openModes: readonly string[] } | null>;
  dispose(): Promise<void>;
}

export interface DumpHang {
  /** A dump hangs now. */
  isHanging(): Promise<boolean>;
  letGo(): Promise<void>;
}

export const MEBIBYTE = 1024 * 1024;
const GHOST_BYTES = 2_715_648;
const TIMEOUT_MS = 180_000;
const NO_ID = '0'.repeat(64);

export function describeContainerRuntime(name: string, setUp: () => Promise<RuntimeRig>): void {
  describe(`the ContainerRuntime ${name}`, () => {
    let rig: RuntimeRig;
    beforeEach(async () => {
      rig = await setUp();
    });
    afterEach(async () => {
      await rig.dispose();
    });

    const found = async (id: string): Promise<RuntimeContainer> => {
      const container = await rig.runtime.find(id);
      if (container === null) throw new Error(`${id} is not found`);
      return container;
    };
    const checkpoint = (
      container: RuntimeContainer,
      { checkpointName = 'c1', timeoutMs = TIMEOUT_MS } = {},
    ): Promise<CheckpointArchive> =>
      rig.runtime.checkpoint({
        container,
        checkpointName,
        archiveDirectory: rig.archiveDirectory,
        timeoutMs,
      });
    /** One that must succeed: a failure shows CRIU's log. */
    const taken = async (...call: Parameters<typeof checkpoint>): Promise<CheckpointArchive> =>
      await checkpoint(...call).catch((error: unknown) => {
        if (!(error instanceof RuntimeCheckpointError)) throw error;
        throw new Error(`${error.message}\n${error.dumpLog?.text.slice(-3000) ?? 'no log'}`);
      });
    const failed = async (attempt: Promise<unknown>): Promise<RuntimeCheckpointError> => {
      const error: unknown = await attempt.then(
        () => new Error('it succeeded'),
        (reason: unknown) => reason,
      );
      if (error instanceof RuntimeCheckpointError) return error;
      throw error;
    };
    const classified = ({ message, dumpLog, timedOut }: RuntimeCheckpointError): FailureVerdict =>
      classifyFailure({ runtimeError: message, dumpLog: dumpLog?.text ?? null, timedOut });
    const expectGoingOn = async (id: string): Promise<void> => {
      const before = await rig.counter(id);
      await until(async () => (await rig.counter(id)) > before);
      expect((await found(id)).state).toBe('Running');
    };

    test('answers a probe with its version and no obstacle', async () => {
      const probe = await rig.runtime.probe();
      expect(probe.runtime).toBe(rig.runtime.name);
      expect(probe.obstacles).toEqual([]);
      if (rig.ociRuntime === null) {
        expect(probe).toMatchObject({ ociRuntime: null, ociRuntimeCommand: null });
        return;
      }
      expect(probe.version).toMatch(new RegExp(`^${rig.runtime.name}://\\d+\\.\\d+`));
      expect(probe.ociRuntime).toMatch(new RegExp(`^${rig.ociRuntime} \\d+\\.\\d+`));
      expect(probe.ociRuntimeCommand).toMatch(new RegExp(`(?:^|/)${rig.ociRuntime}$`));
    });

    test('lists what runs and what does not, and finds by id, prefix and name', async () => {
      const id = await rig.start({ ghostBytes: 4096, labels: { app: 'checkout', tier: 'web' } });
      const other = await rig.start({ ghostBytes: 4096 });
      await rig.stopContainer(other);
      const container = await found(id);
      expect(container).toMatchObject({
        runtime: rig.runtime.name,
        id,
        state: 'Running',
        criuConfigAnnotation: null,
      });
      expect(container.labels).toMatchObject({ app: 'checkout', tier: 'web' });
      expect(container.pid).toBeGreaterThan(1);
      expect(await rig.runtime.find(container.name)).toEqual(container);
      expect(await rig.runtime.find(id.slice(0, -1))).toEqual(container);
      expect(await found(other)).toMatchObject({ state: 'Stopped', pid: null });
      const listed = await rig.runtime.list();
      expect(listed).toContainEqual(container);
      expect(listed).toContainEqual(await found(other));
      expect(listed).toHaveLength(2);
      // A second time, now with what it may remember of the first.
      expect(await rig.runtime.list()).toEqual(listed);
    });

    test.each(['no-such-container', NO_ID, '', '../x', 'a b', 'x?all=1'])(
      'finds no container called %j',
      async (id) => {
        expect(await rig.runtime.find(id)).toBeNull();
      },
    );

    test('takes a checkpoint, leaves the container going, and says where it is', async () => {
      const id = await rig.start({ ghostBytes: 4096 });
      const archive = await taken(await found(id));
      await expectGoingOn(id);
      expect(archive.sizeBytes).toBeGreaterThan(4096);
      expect(await rig.look(archive.path)).toEqual({ sizeBytes: archive.sizeBytes, openModes: [] });
    });

    test('gives the log of a failed dump, from which the ghost file is told, and leaves nothing of it', async () => {
      const id = await rig.start({ ghostBytes: GHOST_BYTES });
      const error = await failed(checkpoint(await found(id)));
      expect(error.timedOut).toBe(false);
      expect(error.dumpLog?.text).toContain('Dumping FAILED.');
      expect(classified(error)).toMatchObject({
        reason: 'GhostLimitExceeded',
        ghostFile: { path: '/tmp/ghost.so', bytes: GHOST_BYTES },
      });
      await expectGoingOn(id);
      // The name is free again once the limit is high enough.
      await rig.setCriuFile(`ghost-limit ${GHOST_BYTES.toString()}\n`);
      expect((await taken(await found(id))).sizeBytes).toBeGreaterThan(GHOST_BYTES);
      await expectGoingOn(id);
    });

    test.each([
      ['a line that CRIU cannot parse', 'ghost-limit = 3145728\n'],
      ['an option that CRIU does not know', 'no-such-option\n'],
    ])('does not take the log of an older failure for that of %s', async (_, content) => {
      const id = await rig.start({ ghostBytes: GHOST_BYTES });
      expect((await failed(checkpoint(await found(id)))).dumpLog).not.toBeNull();
      await rig.setCriuFile(content);
      const error = await failed(checkpoint(await found(id)));
      expect(error.dumpLog).toBeNull();
      expect(classified(error).reason).toBe('ConfigInvalid');
      await expectGoingOn(id);
    });

    test('refuses a container that is not there, or not running', async () => {
      const id = await rig.start({ ghostBytes: 4096 });
      const container = await found(id);
      const unknown = await failed(checkpoint({ ...container, id: NO_ID, name: 'gone' }));
      expect(classified(unknown).reason).toBe('ContainerNotRunning');
      await rig.stopContainer(id);
      expect(classified(await failed(checkpoint(container))).reason).toBe('ContainerNotRunning');
    });

    test('refuses a name that is taken, and leaves the first checkpoint as it is; or names them itself, or keeps the last one only', async () => {
      const id = await rig.start({ ghostBytes: 4096 });
      const first = await taken(await found(id), { checkpointName: 'again' });
      if (rig.keeps === 'LastOnly') {
        const second = await taken(await found(id), { checkpointName: 'again' });
        expect(second.path).toBe(first.path);
        expect(await rig.look(second.path)).toEqual({ sizeBytes: second.sizeBytes, openModes: [] });
        return;
      }
      if (rig.keeps === 'ByTime') {
        const second = await taken(await found(id), { checkpointName: 'again' });
        expect(second.path).not.toBe(first.path);
        expect(await rig.look(first.path)).toEqual({ sizeBytes: first.sizeBytes, openModes: [] });
        return;
      }
      const error = await failed(checkpoint(await found(id), { checkpointName: 'again' }));
      expect(classified(error).reason).toBe('CheckpointExists');
      expect(await rig.look(first.path)).toEqual({ sizeBytes: first.sizeBytes, openModes: [] });
      expect((await taken(await found(id), { checkpointName: 'another' })).path).not.toBe(first.path);
    });

    test('keeps the last good checkpoint when the next one fails', async () => {
      const id = await rig.start({ ghostBytes: GHOST_BYTES });
      await rig.setCriuFile(`ghost-limit ${GHOST_BYTES.toString()}\n`);
      const good = await taken(await found(id), { checkpointName: 'good' });
      await rig.setCriuFile(null);
      await failed(checkpoint(await found(id), { checkpointName: 'bad' }));
      expect(await rig.look(good.path)).toEqual({ sizeBytes: good.sizeBytes, openModes: [] });
    });

    test('after a time-out it settles only when the container goes on, and keeps no archive', async () => {
      const id = await rig.start({ ghostBytes: 4096 });
      const container = await found(id);
      const startedMs = performance.now();
      const good = await taken(container, { checkpointName: 'good' });
      // Long enough for a dump to get to where it hangs, as slow as this machine is just now.
      const timeoutMs = Math.round(1000 + 5 * (performance.now() - startedMs));
      const hang = await rig.hangDumps();
      let settled = false;
      const attempt = failed(checkpoint(container, { checkpointName: 'late', timeoutMs })).finally(() => {
        settled = true;
      });
      await until(async () => settled || (await hang.isHanging()));
      await sleep(timeoutMs + 1000);
      const stopped = await rig.counter(id);
      expect(settled).toBe(false);
      await hang.letGo();
      const error = await attempt;
      expect(error.timedOut).toBe(true);
      expect(classified(error).reason).toBe('TimedOut');
      expect(await rig.counter(id)).toBeGreaterThanOrEqual(stopped);
      await expectGoingOn(id);
      if (rig.keeps === 'ByName')
        expect(await rig.look(good.path.replace(/good(?=(?:\.tar)?$)/, 'late'))).toBeNull();
      expect(await rig.look(good.path)).toEqual({ sizeBytes: good.sizeBytes, openModes: [] });
    });

    test('tells when a container starts and when it ends', async () => {
      const watching = new AbortController();
      let changes = 0;
      rig.runtime.watch(() => {
        changes += 1;
      }, watching.signal);
      const id = await rig.start({ ghostBytes: 4096 });
      await until(() => changes > 0);
      // What is still to be told of the start.
      await sleep(2500);
      const afterStart = changes;
      await rig.stopContainer(id);
      await until(() => changes > afterStart);
      watching.abort();
    });
  });
}

/** Waits until it holds; throws after 60 s. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > giveUpAt) throw new Error('waited 60 s in vain');
    await sleep(50);
  }
}
