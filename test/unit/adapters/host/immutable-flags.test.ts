import { expect, test } from '@jest/globals';
import { writeFault } from '../../../../src/adapters/host/immutable-flags.ts';
import type { HostPlace } from '../../../../src/adapters/host/host-path.ts';
import { HostFileError } from '../../../../src/ports/host-files.ts';
import { CommandNotFound, type ProcessRunner } from '../../../../src/ports/process-runner.ts';

const PATH = '/etc/criu/runc.conf';
/** In a container that has the host's root in /host. */
const PLACE: HostPlace = {
  targetPath: PATH,
  filePath: `/host${PATH}`,
  directoryPath: '/host/etc/criu',
  directoryPresent: true,
  stat: {
    kind: 'file',
    uid: 0,
    gid: 0,
    mode: 0o644,
    dev: 1n,
    ino: 2n,
    ctimeNs: 3n,
    sizeBytes: 4n,
  },
};

const refused = (syscall: string, code = 'EPERM'): Error =>
  Object.assign(new Error(`${code}: operation not permitted, ${syscall}`), { code, syscall });

/** A host whose lsattr prints `stdout`; null: it has none. */
function lsattr(stdout: string | null, asked: string[] = []): ProcessRunner {
  return {
    run: (command, args) => {
      asked.push([command, ...args].join(' '));
      if (stdout === null) return Promise.reject(new CommandNotFound(command));
      return Promise.resolve({ exitCode: 0, stdout, stderr: '', timedOut: false });
    },
  };
}

const FILE = (flags: string): string => `${flags} /host/etc/criu/runc.conf\n`;
const DIRECTORY = (flags: string): string => `${flags} /host/etc/criu\n`;
const NONE = '--------------e-------';

// Flags as lsattr of e2fsprogs 1.47 prints them, and of busybox 1.37, which has fewer columns.
test.each([
  [
    'the file is immutable',
    FILE('----i---------e-------') + DIRECTORY(NONE),
    'FileImmutable',
    '/etc/criu/runc.conf is immutable: chattr -i /etc/criu/runc.conf',
  ],
  [
    'the directory is immutable',
    FILE(NONE) + DIRECTORY('----i---------e-------'),
    'FileImmutable',
    '/etc/criu is immutable: chattr -i /etc/criu',
  ],
  [
    'the file is append-only',
    FILE('-----a--------e-------') + DIRECTORY(NONE),
    'FileImmutable',
    '/etc/criu/runc.conf is append-only: chattr -a /etc/criu/runc.conf',
  ],
  [
    'both are, in one way and the other',
    FILE('-----a--------') + DIRECTORY('----i---------'),
    'FileImmutable',
    '/etc/criu is immutable: chattr -i /etc/criu',
  ],
  [
    'neither is',
    FILE('--------------e----I--') + DIRECTORY('-------A------'),
    'WriteFailed',
    'neither file nor directory is immutable: a security module forbids it, or a capability is missing',
  ],
  [
    'the file system does not say',
    '',
    'FileImmutable',
    'the file or its directory is immutable or append-only (chattr +i, +a), or a security module forbids it',
  ],
  [
    'there is no lsattr',
    null,
    'FileImmutable',
    'the file or its directory is immutable or append-only (chattr +i, +a), or a security module forbids it',
  ],
])('%s', async (_name, stdout, reason, why) => {
  const asked: string[] = [];
  const fault = await writeFault(lsattr(stdout, asked), PLACE, PATH, refused('rename'));
  expect(fault).toMatchObject({
    reason,
    code: 'EPERM',
    path: PATH,
    message: `cannot write ${PATH}: EPERM: operation not permitted, rename (${why})`,
  });
  expect(asked).toEqual(['lsattr -d -- /host/etc/criu/runc.conf /host/etc/criu']);
});

test('only what is there is asked about', async () => {
  const asked: string[] = [];
  await writeFault(lsattr('', asked), { ...PLACE, stat: null }, PATH, refused('open'));
  expect(asked).toEqual(['lsattr -d -- /host/etc/criu']);
});

test.each([
  ['fchown', 'EPERM'],
  ['write', 'EPERM'],
  ['rename', 'EACCES'],
  ['rename', 'EIO'],
])('%s with %s has nothing to do with the flags', async (syscall, code) => {
  const asked: string[] = [];
  const fault = await writeFault(lsattr('', asked), PLACE, PATH, refused(syscall, code));
  expect(fault).toMatchObject({ reason: 'WriteFailed', code });
  expect(asked).toEqual([]);
});

test('what is already said stays', async () => {
  const said = new HostFileError('UnsupportedHost', PATH, null, 'said');
  expect(await writeFault(lsattr(''), PLACE, PATH, said)).toBe(said);
});
