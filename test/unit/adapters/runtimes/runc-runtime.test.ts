// runc's adapter with a scripted runc: what a healthy real one never does.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../../src/adapters/clock/system-clock.ts';
import { RuncRuntime } from '../../../../src/adapters/runtimes/runc-runtime.ts';
import { RuntimeCheckpointError, RuntimeUnavailable } from '../../../../src/ports/container-runtime.ts';
import type { RuntimeContainer } from '../../../../src/ports/container-runtime.ts';
import type { Log } from '../../../../src/ports/log.ts';
import { CommandNotFound } from '../../../../src/ports/process-runner.ts';
import type { ProcessResult } from '../../../../src/ports/process-runner.ts';

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
type Script = (words: string) => Partial<ProcessResult>;

let folder: string;
let ran: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gl-runc-'));
  mkdirSync(join(folder, 'proc'));
  ran = [];
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function runtimeWith(script: Script, roots: readonly string[] = ['/run/runc']): RuncRuntime {
  const run = (command: string, args: readonly string[]): Promise<ProcessResult> => {
    const words = [command, ...args].join(' ');
    ran.push(words);
    return Promise.resolve().then(() => ({
      exitCode: 0,
      stdout: '',
      stderr: '',
      timedOut: false,
      ...script(words),
    }));
  };
  return new RuncRuntime({
    runner: { run },
    roots,
    hostRoot: folder,
    procRoot: join(folder, 'proc'),
    clock: systemClock,
    log: silent,
  });
}

const state = (id: string, status: string, pid = 77): unknown => ({
  id,
  pid,
  status,
  annotations: { app: 'x' },
});
const container: RuntimeContainer = {
  runtime: 'runc',
  id: 'r1',
  name: 'r1',
  state: 'Running',
  pid: null,
  labels: {},
  criuConfigAnnotation: null,
};
/** What runc keeps of a container. */
const keep = (root: string, id: string): void => {
  mkdirSync(join(folder, root, id), { recursive: true });
  writeFileSync(join(folder, root, id, 'state.json'), '{}');
};
const call = { container, checkpointName: 'c1', archiveDirectory: '/archives', timeoutMs: 60_000 };

describe('the list', () => {
  test.each([
    [
      'no container was ever made',
      { exitCode: 1, stderr: 'time="…" level=error msg="open /run/runc: no such file or directory"' },
    ],
    ['none is there', { stdout: 'null' }],
  ])('is empty where %s', async (_, result) => {
    expect(await runtimeWith(() => result).list()).toEqual([]);
  });

  test('reads states, pids and labels; a stopped container has no pid', async () => {
    const stdout = JSON.stringify([
      state('a', 'running', 5),
      state('b', 'paused', 6),
      state('c', 'created', 7),
      state('d', 'stopped', 0),
      { ...(state('e', 'running', 8) as object), annotations: { 'org.criu.config': '' } },
      { id: 'f', pid: 9, status: 'running' },
    ]);
    const list = await runtimeWith(() => ({ stdout })).list();
    expect(list.map((one) => [one.id, one.state, one.pid, one.labels, one.criuConfigAnnotation])).toEqual([
      ['a', 'Running', 5, { app: 'x' }, null],
      ['b', 'Paused', 6, { app: 'x' }, null],
      ['c', 'Created', 7, { app: 'x' }, null],
      ['d', 'Stopped', null, { app: 'x' }, null],
      ['e', 'Running', 8, { 'org.criu.config': '' }, ''],
      ['f', 'Running', 9, {}, null],
    ]);
  });

  test.each([
    ['it fails', { exitCode: 1, stderr: 'permission denied' }],
    ['it prints no JSON', { stdout: 'a b c' }],
    ['it prints other JSON', { stdout: '[{"id":1}]' }],
  ])('is RuntimeUnavailable when %s', async (_, result) => {
    await expect(runtimeWith(() => result).list()).rejects.toBeInstanceOf(RuntimeUnavailable);
  });

  test('a prefix that fits two containers finds none', async () => {
    const stdout = JSON.stringify([state('web-1', 'running'), state('web-10', 'running')]);
    const runtime = runtimeWith(() => ({ stdout }));
    expect(await runtime.find('web')).toBeNull();
    expect((await runtime.find('web-1'))?.id).toBe('web-1');
    expect((await runtime.find('web-10'))?.id).toBe('web-10');
  });
});

describe('a probe', () => {
  const version = { stdout: 'runc version 1.3.6+ds1\ncommit: x\nspec: 1.2.1\n' };

  test('without runc is RuntimeUnavailable', async () => {
    const runtime = runtimeWith(() => {
      throw new CommandNotFound('runc is not installed, or not in PATH');
    });
    await expect(runtime.probe()).rejects.toBeInstanceOf(RuntimeUnavailable);
  });

  test('names what stands in the way', async () => {
    const runtime = runtimeWith((words) => {
      if (words.startsWith('criu')) throw new CommandNotFound('criu');
      if (words === 'runc features')
        return { stdout: '{"annotations":{"org.opencontainers.runc.checkpoint.enabled":"false"}}' };
      return version;
    });
    const { obstacles } = await runtime.probe();
    expect(obstacles.map(({ reason }) => reason)).toEqual(['CriuMissing', 'RuntimeUnsupported']);
  });

  test.each([
    ['an old runc that knows no features', { exitCode: 1 }],
    ['features without a word about checkpoints', { stdout: '{}' }],
  ])('%s is no obstacle', async (_, features) => {
    const runtime = runtimeWith((words) => (words === 'runc features' ? features : version));
    expect(await runtime.probe()).toEqual({
      runtime: 'runc',
      version: 'runc://1.3.6+ds1',
      ociRuntime: 'runc 1.3.6+ds1',
      ociRuntimeCommand: 'runc',
      obstacles: [],
    });
  });
});

describe('a checkpoint', () => {
  test.each(['../../etc', '..', '.', 'a/b', 'a\nb', ''])(
    'of an id that is none (%j) touches nothing',
    async (id) => {
      const runtime = runtimeWith(() => ({}));
      await expect(runtime.checkpoint({ ...call, container: { ...container, id } })).rejects.toBeInstanceOf(
        RuntimeCheckpointError,
      );
      expect(ran).toEqual([]);
      expect(readdirSync(folder)).toEqual(['proc']);
    },
  );

  test('goes to the root that knows the container, and always leaves it running', async () => {
    keep('/run/two', 'r1');
    const runtime = runtimeWith(() => ({}), ['/run/one', '/run/two']);
    expect((await runtime.checkpoint(call)).path).toBe('/archives/r1/c1');
    expect(ran).toEqual([
      'runc --root /run/two checkpoint --leave-running --image-path /archives/r1/c1 --work-path /archives/r1/.last-dump r1',
    ]);
  });

  test('of a container that no root knows runs nothing and makes nothing', async () => {
    const attempt = runtimeWith(() => ({})).checkpoint(call);
    await expect(attempt).rejects.toThrow('container does not exist');
    expect(ran).toEqual([]);
    expect(readdirSync(folder)).toEqual(['proc']);
  });

  test('without runc, or without room for it, is refused in words that tell', async () => {
    keep('/run/runc', 'r1');
    const none = runtimeWith(() => {
      throw new CommandNotFound('runc is not installed, or not in PATH');
    });
    await expect(none.checkpoint(call)).rejects.toMatchObject({
      name: 'RuntimeCheckpointError',
      message: expect.stringContaining('not installed'),
    });
    expect(readdirSync(join(folder, 'archives/r1'))).toEqual(['.last-dump']);
    writeFileSync(join(folder, 'file'), '');
    const blocked = runtimeWith(() => ({})).checkpoint({ ...call, archiveDirectory: '/file' });
    await expect(blocked).rejects.toMatchObject({
      name: 'RuntimeCheckpointError',
      message: expect.stringContaining('ENOTDIR'),
    });
  });

  const dumpFails =
    (after: string): Script =>
    (words) => {
      if (words.includes(' checkpoint ')) {
        writeFileSync(join(folder, 'archives/r1/c1/pages-1.img'), 'half');
        return { exitCode: 1, stderr: 'read unixpacket @->@: EOF' };
      }
      return { stdout: JSON.stringify(state('r1', words.includes(' state ') ? after : 'running')) };
    };
  const resumed = (): boolean => ran.includes('runc --root /run/runc resume r1');

  test('that left the container frozen is followed by a resume, and leaves no image', async () => {
    keep('/run/runc', 'r1');
    await expect(runtimeWith(dumpFails('paused')).checkpoint(call)).rejects.toMatchObject({
      message: 'read unixpacket @->@: EOF',
    });
    expect(resumed()).toBe(true);
    expect(existsSync(join(folder, 'archives/r1/c1'))).toBe(false);
  });

  test.each([
    ['that did not freeze it', 'running', 'Running'],
    ['of a container that was paused before', 'paused', 'Paused'],
  ] as const)('%s is not followed by a resume', async (_, after, before) => {
    keep('/run/runc', 'r1');
    const attempt = runtimeWith(dumpFails(after)).checkpoint({
      ...call,
      container: { ...container, state: before },
    });
    await expect(attempt).rejects.toBeInstanceOf(RuntimeCheckpointError);
    expect(resumed()).toBe(false);
  });

  test('whose runc is silent says how it ended', async () => {
    keep('/run/runc', 'r1');
    const runtime = runtimeWith((words) =>
      words.includes(' checkpoint ')
        ? { exitCode: null }
        : { stdout: JSON.stringify(state('r1', 'running')) },
    );
    await expect(runtime.checkpoint(call)).rejects.toThrow('runc ended with a signal and no word');
  });
});
