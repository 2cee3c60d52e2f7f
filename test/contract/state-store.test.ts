// The StateStore contract on the fake and on a real temporary folder, and what only the real one can show: processes that race.
import { describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as posix from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { createStateFolder } from '../../src/adapters/host/state-folder.ts';
import { FakeStateStore } from '../fakes/fake-state-store.ts';
import { stateStoreContract, type StateStoreWorld } from './state-store.contract.ts';

const WORKER = fileURLToPath(new URL('../../hack/crash/lock-worker.ts', import.meta.url));

function startWorker(folder: string, rounds: string): ChildProcess {
  return spawn(process.execPath, [WORKER, folder, rounds], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function temporaryFolder(): Promise<string> {
  return posix.join(await fs.mkdtemp(posix.join(os.tmpdir(), 'state-folder-')), 'state');
}

function fakeWorld(): Promise<StateStoreWorld> {
  const store = new FakeStateStore();
  return Promise.resolve({
    store,
    other: store.asProcess(4711),
    lockElsewhere: async (name) => {
      await store.asProcess(815).lock(name, 0);
      return 815;
    },
    killElsewhere: () => {
      store.kill(815);
      return Promise.resolve();
    },
    dispose: () => Promise.resolve(),
  });
}

async function realWorld(): Promise<StateStoreWorld> {
  const directory = await temporaryFolder();
  let child: ChildProcess | null = null;
  const killElsewhere = async (): Promise<void> => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return {
    store: createStateFolder({ directory }),
    other: createStateFolder({ directory }),
    lockElsewhere: async () => {
      child = startWorker(directory, 'hold');
      if (child.stdout !== null) await once(child.stdout, 'data');
      return child.pid ?? 0;
    },
    killElsewhere,
    dispose: async () => {
      await killElsewhere();
      await fs.rm(posix.dirname(directory), { recursive: true });
    },
  };
}

stateStoreContract('in memory', fakeWorld);
stateStoreContract('on this machine', realWorld);

describe('the state folder', () => {
  test('is readable by root only, and so are its documents', async () => {
    const directory = await temporaryFolder();
    await fs.mkdir(directory, { recursive: true, mode: 0o755 });
    await createStateFolder({ directory }).write('note', new Uint8Array([1]));
    expect((await fs.stat(directory)).mode & 0o777).toBe(0o700);
    expect((await fs.stat(posix.join(directory, 'note'))).mode & 0o777).toBe(0o600);
    expect(await fs.readdir(directory)).toEqual(['note']);
    await fs.rm(posix.dirname(directory), { recursive: true });
  });

  test('sweeps what a killed writer left of a document', async () => {
    const directory = await temporaryFolder();
    await fs.mkdir(directory, { recursive: true });
    await fs.writeFile(posix.join(directory, '.ghostlimit-note.0123456789abcdef.tmp'), 'half');
    const store = createStateFolder({ directory });
    expect(await store.list('')).toEqual([]);
    await store.write('note', new Uint8Array([1]));
    expect(await fs.readdir(directory)).toEqual(['note']);
    await fs.rm(posix.dirname(directory), { recursive: true });
  });

  test('a lock of an earlier boot, or of a pid that was given again, is free', async () => {
    const directory = await temporaryFolder();
    const store = createStateFolder({ directory });
    const locks = posix.join(directory, '.locks');
    await (await store.lock('engine', 0)).release();
    const bootId = (await fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    for (const identity of [`${process.pid}~1~${bootId}`, `1~1~00000000-0000-0000-0000-000000000000`])
      for (const kind of ['claim', 'held'])
        await fs.writeFile(posix.join(locks, `${kind}~engine~${identity}~0000000000000000`), '');
    await (await store.lock('engine', 0)).release();
    expect(await fs.readdir(locks)).toEqual([]);
    await fs.rm(posix.dirname(directory), { recursive: true });
  });

  test('never gives a lock to two of many processes, while holders are killed and their locks taken over', async () => {
    const directory = await temporaryFolder();
    await (await createStateFolder({ directory }).lock('engine', 0)).release();
    const dead = startWorker(directory, 'hold');
    if (dead.stdout !== null) await once(dead.stdout, 'data');
    const rounds = 25;
    const workers = Array.from({ length: 12 }, () => startWorker(directory, rounds.toString()));
    const ended = Promise.all(
      workers.map(async (worker) => {
        const [code] = (await once(worker, 'exit')) as [number | null];
        return code;
      }),
    );
    // All of them are waiting for the dead one's lock when it goes.
    setTimeout(() => dead.kill('SIGKILL'), 500);
    expect(await ended).toEqual(workers.map(() => 0));
    const log = await fs.readFile(posix.join(directory, 'log'), 'utf8');
    expect(log.split('\n')).toHaveLength(workers.length * rounds + 1);
    expect(await fs.readdir(posix.join(directory, '.locks'))).toEqual([]);
    await fs.rm(posix.dirname(directory), { recursive: true });
  });
});
