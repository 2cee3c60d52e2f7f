import { describe, expect, test } from '@jest/globals';
import type { CriuReaders, UsedOciRuntime } from '../../../../src/api/criu-readers.ts';
import { linesFor, resolveFileChain, type FileChain } from '../../../../src/domain/criu-conf/file-chain.ts';

const RUNC: UsedOciRuntime = {
  program: '/usr/sbin/runc',
  kind: 'runc',
  version: '1.3.6',
  builtWithCriu: null,
  namesFile: false,
  commands: ['runc'],
  engines: ['docker'],
  defaultOf: ['docker'],
};
const CRUN: UsedOciRuntime = {
  ...RUNC,
  program: '/usr/bin/crun',
  kind: 'crun',
  version: '1.28',
  builtWithCriu: true,
  namesFile: true,
  commands: ['crun'],
  engines: ['podman'],
};
const OLD_CRUN: UsedOciRuntime = { ...CRUN, version: '1.21', namesFile: false };
const NEW_LIBCRIU = { path: '/usr/lib/libcriu.so.2', takesFileName: true };
const OLD_LIBCRIU = { ...NEW_LIBCRIU, takesFileName: false };

function chain(
  ociRuntimes: UsedOciRuntime[],
  more: Partial<CriuReaders> & { readonly crunConfPresent?: boolean } = {},
): FileChain {
  const { crunConfPresent = false, ...readers } = more;
  return resolveFileChain({
    readers: { files: 'auto', ociRuntimes, libcriu: NEW_LIBCRIU, criuVersion: '4.2.1', ...readers },
    crunConfPresent,
  });
}
const names = ({ kept }: FileChain): string[] => kept.map(({ name }) => name);

describe('with the setting auto', () => {
  test.each([
    ['nobody has looked yet', resolveFileChain({ readers: null, crunConfPresent: true }), ['runc.conf']],
    ['no engine', chain([]), ['runc.conf']],
    ['runc alone', chain([RUNC]), ['runc.conf']],
    ['runc alone, and a crun.conf', chain([RUNC], { crunConfPresent: true }), ['runc.conf']],
    ['crun that reads files', chain([RUNC, CRUN]), ['runc.conf']],
    ['... and a crun.conf', chain([RUNC, CRUN], { crunConfPresent: true }), ['runc.conf', 'crun.conf']],
    ['an old crun', chain([OLD_CRUN]), ['runc.conf', 'default.conf']],
    [
      'an old crun, and a crun.conf that it does not read',
      chain([OLD_CRUN], { crunConfPresent: true }),
      ['runc.conf', 'default.conf'],
    ],
    ['an old libcriu', chain([CRUN], { libcriu: OLD_LIBCRIU }), ['runc.conf', 'default.conf']],
    [
      'crun without libcriu: no checkpoint works, nothing is known',
      chain([CRUN], { libcriu: null }),
      ['runc.conf'],
    ],
    [
      'an old and a new crun',
      chain([OLD_CRUN, { ...CRUN, program: '/opt/crun' }], { crunConfPresent: true }),
      ['runc.conf', 'crun.conf', 'default.conf'],
    ],
  ])('%s', (_, found, expected) => {
    expect(names(found)).toEqual(expected);
    expect(found.remarks).toEqual([]);
  });

  test('each file says who reads it and why it has to be this one', () => {
    const why = (found: FileChain): (string | undefined)[] => found.kept.map((file) => file.why);
    expect(why(chain([CRUN, RUNC]))).toEqual([
      'crun 1.28 (podman) reads it, as there is no crun.conf; runc 1.3.6 (docker) reads it',
    ]);
    expect(why(chain([CRUN, RUNC], { crunConfPresent: true }))).toEqual([
      'runc 1.3.6 (docker) reads it',
      'crun 1.28 (podman) reads it in place of runc.conf, because it exists',
    ]);
    expect(why(chain([OLD_CRUN], { libcriu: OLD_LIBCRIU }))[1]).toBe(
      "crun 1.21 (podman) reads neither runc.conf nor crun.conf (that takes crun 1.26 and libcriu 4.2), so that only CRIU's own default.conf counts",
    );
    expect(why(chain([CRUN], { libcriu: OLD_LIBCRIU }))[1]).toContain('(that takes libcriu 4.2)');
    expect(why(chain([OLD_CRUN]))[1]).toContain('(that takes crun 1.26)');
    expect(why(chain([]))).toEqual(['runc reads it, and crun where it can']);
  });

  test('what cannot be reached is said', () => {
    expect(chain([{ ...RUNC, kind: 'Other', program: '/usr/bin/youki', version: '0.5.0' }]).remarks).toEqual([
      {
        path: '/etc/criu/runc.conf',
        reason: 'FileNotKept',
        message: 'it is not known which CRIU files /usr/bin/youki 0.5.0 (docker) reads',
      },
    ]);
    expect(chain([RUNC], { criuVersion: '3.10' }).remarks).toMatchObject([{ reason: 'CriuTooOld' }]);
    expect(chain([RUNC], { criuVersion: '3.11' }).remarks).toEqual([]);
    expect(chain([RUNC], { criuVersion: null }).remarks).toEqual([]);
  });
});

describe('with a list', () => {
  test.each([
    [['runc.conf', 'default.conf'], false, ['runc.conf', 'default.conf'], []],
    [['default.conf'], false, ['default.conf'], ['FileNotKept']],
    // Made by us it would hide runc.conf.
    [['runc.conf', 'crun.conf'], false, ['runc.conf'], []],
    [['runc.conf', 'crun.conf'], true, ['runc.conf', 'crun.conf'], []],
    [['runc.conf'], true, ['runc.conf'], ['HiddenByCrunConf']],
    [['crun.conf'], false, [], ['FileNotKept']],
  ] as const)('%j, crun.conf there: %j', (files, crunConfPresent, expected, reasons) => {
    const found = chain([CRUN], { files: [...files], crunConfPresent });
    expect(names(found)).toEqual(expected);
    expect(found.remarks.map(({ reason }) => reason)).toEqual(reasons);
  });
});

test('into default.conf go the limit and what crun does not set itself', () => {
  const wanted = {
    ghostLimitBytes: 3_145_728,
    options: [
      'ExtUnixSockets',
      'FileLocks',
      'LinkRemap',
      'ShellJob',
      'TcpClose',
      'TcpEstablished',
      'TcpSkipInFlight',
    ],
  } as const;
  expect(linesFor('default.conf', wanted)).toEqual({
    lines: { ghostLimitBytes: 3_145_728, options: ['LinkRemap', 'TcpClose', 'TcpSkipInFlight'] },
    overruled: ['ExtUnixSockets', 'FileLocks', 'ShellJob', 'TcpEstablished'],
  });
  expect(linesFor('crun.conf', wanted)).toEqual({ lines: wanted, overruled: [] });
});
