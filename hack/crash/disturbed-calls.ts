// The real file calls with an event at each of them: the kill of the process, a commit of the journal, the end of the power. Decides nothing.
import { nodeFileCalls, type FileCalls } from '../../src/adapters/host/file-calls.ts';

/** A step of the writer that is left out, to prove that the trials see it. */
export type Mutation = 'NoDirectorySync' | 'NoFileSync';

export class Killed extends Error {
  override readonly name = 'Killed';
}

export interface Disturbances {
  /** Called before call `index` (from 0) and after it. */
  at: (index: number, when: 'before' | 'after') => Promise<void>;
  mutation: Mutation | null;
}

/** Calls of one process: once `at` throws Killed, no further call is made. */
export function disturbedCalls({ at, mutation }: Disturbances): FileCalls {
  let index = 0;
  let killed = false;
  const directories = new Set<number>();
  const event = async (when: 'before' | 'after', now: number): Promise<void> => {
    if (killed) throw new Killed();
    try {
      await at(now, when);
    } catch (error) {
      killed = error instanceof Killed;
      throw error;
    }
  };
  const disturbed = <A extends readonly unknown[], R>(call: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      const now = index++;
      await event('before', now);
      const result = await call(...args);
      await event('after', now);
      return result;
    };
  };
  const calls = nodeFileCalls;
  /** What a killed process had opened is closed, else the disk could not be unmounted. */
  const opening =
    (open: (path: string) => Promise<number>) =>
    async (path: string): Promise<number> => {
      const now = index++;
      await event('before', now);
      const fd = await open(path);
      try {
        await event('after', now);
      } catch (error) {
        await calls.close(fd);
        throw error;
      }
      return fd;
    };
  const skip = (fd: number): boolean => mutation === (directories.has(fd) ? 'NoDirectorySync' : 'NoFileSync');
  return {
    lstat: disturbed((path: string) => calls.lstat(path)),
    readlink: disturbed((path: string) => calls.readlink(path)),
    readdir: disturbed((path: string) => calls.readdir(path)),
    openForRead: opening((path) => calls.openForRead(path)),
    openDirectory: opening(async (path) => {
      const fd = await calls.openDirectory(path);
      directories.add(fd);
      return fd;
    }),
    create: opening((path) => calls.create(path)),
    fstat: disturbed((fd: number) => calls.fstat(fd)),
    read: disturbed((fd: number, buffer: Uint8Array, offset: number) => calls.read(fd, buffer, offset)),
    write: disturbed((fd: number, buffer: Uint8Array, offset: number) => calls.write(fd, buffer, offset)),
    chown: disturbed((fd: number, uid: number, gid: number) => calls.chown(fd, uid, gid)),
    chmod: disturbed((fd: number, mode: number) => calls.chmod(fd, mode)),
    sync: disturbed((fd: number) => (skip(fd) ? Promise.resolve() : calls.sync(fd))),
    // Always done: a killed process closes its files too.
    close: async (fd) => {
      directories.delete(fd);
      await calls.close(fd);
    },
    rename: disturbed((from: string, to: string) => calls.rename(from, to)),
    link: disturbed((from: string, to: string) => calls.link(from, to)),
    unlink: disturbed((path: string) => calls.unlink(path)),
    mkdir: disturbed((path: string, mode: number) => calls.mkdir(path, mode)),
    rmdir: disturbed((path: string) => calls.rmdir(path)),
    // Nobody else has a file open here, and a look at all processes would take longer than all the rest.
    writersOf: disturbed(() => Promise.resolve([])),
    watchFile: () => () => undefined,
    watchDirectory: () => undefined,
  };
}
