// The HostFiles contract on the fake and on a real temporary directory; needs root, as only root's directories count as safe.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as posix from 'node:path/posix';
import { ChildProcessRunner } from '../../src/adapters/process/child-process-runner.ts';
import { createPosixHostFiles } from '../../src/adapters/host/posix-host-files.ts';
import type { HostFiles } from '../../src/ports/host-files.ts';
import { FakeHostFiles } from '../fakes/fake-host-files.ts';
import { hostFilesContract, type ForeignWriter, type HostFilesWorld } from './host-files.contract.ts';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The disk in memory does at once what it is told. */
const at =
  <Args extends unknown[]>(act: (...args: Args) => void) =>
  (...args: Args): Promise<void> => {
    act(...args);
    return Promise.resolve();
  };

function fakeWorld(): Promise<HostFilesWorld> {
  const files = new FakeHostFiles();
  const { disk } = files;
  return Promise.resolve({
    files,
    restarted: () => {
      files.restart('killed');
      return files;
    },
    open: (path) => {
      const writer = disk.open(path);
      return Promise.resolve({
        pid: writer.pid,
        append: at((text: string) => {
          writer.append(text);
        }),
        close: at(() => {
          writer.close();
        }),
      });
    },
    put: at((path: string, text: string) => {
      disk.put(path, latin1(text));
    }),
    putByRename: at((path: string, text: string) => {
      disk.putByRename(path, latin1(text));
    }),
    delete: at((path: string) => {
      disk.delete(path);
    }),
    link: at((path: string, target: string) => {
      disk.link(path, target);
    }),
    makeDirectory: at((path: string, mode: number) => {
      disk.mkdir(path, { mode });
    }),
    text: (path) => {
      const content = disk.bytes(path);
      return Promise.resolve(content === null ? null : Buffer.from(content).toString('latin1'));
    },
    mode: (path) => Promise.resolve(disk.mode(path)),
    setMode: at((path: string, mode: number) => {
      disk.setMode(path, mode);
    }),
    isLink: (path) => Promise.resolve(disk.isLink(path)),
    names: (directory) => Promise.resolve(disk.names(directory)),
    dispose: () => Promise.resolve(),
  });
}

/** A shell that has the file open for appending: ours do not count as others. It ends with its input. */
async function openInAShell(path: string): Promise<ForeignWriter> {
  const script = 'exec 3>> "$1"; echo; while IFS= read -r line; do printf "%s\\n" "$line" >&3; echo; done';
  const shell = spawn('sh', ['-c', script, 'writer', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answered = (): Promise<void> =>
    new Promise((resolve) => {
      shell.stdout.once('data', () => {
        resolve();
      });
    });
  const ended = new Promise<void>((resolve) => {
    shell.once('close', () => {
      resolve();
    });
  });
  await answered();
  return {
    pid: shell.pid ?? 0,
    append: async (text) => {
      const answer = answered();
      shell.stdin.write(text);
      await answer;
    },
    close: () => {
      shell.stdin.end();
      return ended;
    },
  };
}

async function realWorld(): Promise<HostFilesWorld> {
  const root = await fs.mkdtemp(posix.join(os.tmpdir(), 'host-files-'));
  const at = (path: string): string => posix.join(root, path);
  const started: HostFiles[] = [];
  await fs.mkdir(at('/etc'));
  const put = async (path: string, text: string): Promise<void> => {
    await fs.mkdir(posix.dirname(at(path)), { recursive: true });
    await fs.writeFile(at(path), text, 'latin1');
  };
  const orNull = async <T>(call: Promise<T>): Promise<T | null> => {
    try {
      return await call;
    } catch {
      return null;
    }
  };
  const start = (): HostFiles => {
    const files = createPosixHostFiles({
      hostRoot: root,
      requireRootOwner: true,
      processes: new ChildProcessRunner(),
    });
    started.push(files);
    return files;
  };
  return {
    files: start(),
    restarted: start,
    open: (path) => openInAShell(at(path)),
    put,
    putByRename: async (path, text) => {
      await put('/etc/moved-in', text);
      await fs.rename(at('/etc/moved-in'), at(path));
    },
    delete: (path) => fs.rm(at(path)),
    link: (path, target) => fs.symlink(target, at(path)),
    makeDirectory: async (path, mode) => {
      await fs.mkdir(at(path));
      await fs.chmod(at(path), mode);
    },
    text: (path) => orNull(fs.readFile(at(path), 'latin1')),
    mode: async (path) => {
      const stat = await orNull(fs.stat(at(path)));
      return stat === null ? null : stat.mode & 0o7777;
    },
    setMode: (path, mode) => fs.chmod(at(path), mode),
    isLink: async (path) => (await fs.lstat(at(path))).isSymbolicLink(),
    names: async (directory) => (await orNull(fs.readdir(at(directory))))?.sort() ?? null,
    dispose: async () => {
      for (const files of started) await files.close();
      await fs.rm(root, { recursive: true });
    },
  };
}

hostFilesContract('in memory', fakeWorld);
hostFilesContract('on this machine', realWorld);
