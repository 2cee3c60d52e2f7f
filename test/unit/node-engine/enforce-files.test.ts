import { describe, expect, test } from '@jest/globals';
import type { CriuReaders } from '../../../src/api/criu-readers.ts';
import type { WantedLines } from '../../../src/domain/policy/resolve.ts';
import { openDocuments } from '../../../src/node-engine/documents.ts';
import { enforceFiles, type EnforcedChain } from '../../../src/node-engine/enforce-files.ts';
import { FakeNode } from '../../fakes/fake-node.ts';

const RUNC_CONF = '/etc/criu/runc.conf';
const CRUN_CONF = '/etc/criu/crun.conf';
const DEFAULT_CONF = '/etc/criu/default.conf';
const MIB = 2 ** 20;
const NOTHING: WantedLines = { ghostLimitBytes: null, options: [] };
const limit = (mebibytes: number): WantedLines => ({ ghostLimitBytes: mebibytes * MIB, options: [] });

const crun = (namesFile: boolean): CriuReaders => ({
  files: 'auto',
  ociRuntimes: [
    {
      program: '/usr/bin/crun',
      kind: 'crun',
      version: '1.28',
      builtWithCriu: true,
      namesFile,
      commands: ['crun'],
      engines: ['podman'],
      defaultOf: ['podman'],
    },
  ],
  libcriu: { path: '/usr/lib/libcriu.so.2', takesFileName: true },
  criuVersion: '4.2.1',
});
const CRUN_CONTAINER = { runtime: 'podman' } as const;
const RUNC_CONTAINER = { runtime: 'docker' } as const;

class Node {
  readonly node: FakeNode;
  constructor(files: Record<string, string>) {
    this.node = new FakeNode(files);
  }
  async enforce(wanted: WantedLines, readers: CriuReaders): Promise<EnforcedChain> {
    const { state, clock, log, metrics, files } = this.node;
    const documents = openDocuments(state, log);
    await documents.criuReaders.write(readers);
    return enforceFiles(wanted, { files, documents, clock, log, metrics });
  }
  get texts(): Record<string, string | null> {
    const { files } = this.node;
    return Object.fromEntries([RUNC_CONF, CRUN_CONF, DEFAULT_CONF].map((path) => [path, files.text(path)]));
  }
}

const limits = ({ files }: EnforcedChain): [string, number][] =>
  files.map(({ path, effectiveLimitBytes }) => [path, effectiveLimitBytes / MIB]);

describe('default.conf for a crun that reads no other', () => {
  test.each([
    ['no file at all', {}],
    ['a lower limit in default.conf', { [DEFAULT_CONF]: 'ghost-limit 2M\n' }],
    ['an empty default.conf', { [DEFAULT_CONF]: '' }],
    [
      'foreign lines in both, no last newline',
      { [DEFAULT_CONF]: 'file-locks\nghost-limit 2M', [RUNC_CONF]: '# mine' },
    ],
  ])('%s: the lines come, stay and leave no trace', async (_, before) => {
    const host = new Node(before);
    const original = host.texts;
    const directory = host.node.files.disk.names('/etc/criu');
    expect(limits(await host.enforce(limit(3), crun(false)))).toEqual([
      [RUNC_CONF, 3],
      [DEFAULT_CONF, 3],
    ]);
    const written = host.texts;
    expect(written[RUNC_CONF]).toContain('ghost-limit 3145728');
    expect(written[DEFAULT_CONF]).toContain('ghost-limit 3145728');
    const again = await host.enforce(limit(3), crun(false));
    expect(again.settled).toBe(true);
    expect(host.texts).toEqual(written);
    expect((await host.enforce(limit(5), crun(false))).files.map(({ state }) => state)).toEqual([
      'InSync',
      'InSync',
    ]);
    await host.enforce(NOTHING, crun(false));
    expect(host.texts).toEqual(original);
    expect(host.node.files.disk.names('/etc/criu')).toEqual(directory);
    expect((await host.enforce(NOTHING, crun(false))).settled).toBe(true);
  });

  test('a foreign limit that is high enough there does for all; ours come when it goes', async () => {
    const host = new Node({ [DEFAULT_CONF]: 'ghost-limit 64M\n' });
    const { files } = await host.enforce(limit(3), crun(false));
    expect(
      files.map(({ state, effectiveLimitBytes, managed }) => [state, effectiveLimitBytes / MIB, managed]),
    ).toEqual([
      ['InSync', 64, false],
      ['ForeignLimitSuffices', 64, false],
    ]);
    host.node.files.put(DEFAULT_CONF, '');
    expect(limits(await host.enforce(limit(3), crun(false)))).toEqual([
      [RUNC_CONF, 3],
      [DEFAULT_CONF, 3],
    ]);
  });

  test('when crun learns to read files, our lines leave default.conf by themselves', async () => {
    const host = new Node({ [DEFAULT_CONF]: '# mine\n' });
    await host.enforce(limit(3), crun(false));
    expect(limits(await host.enforce(limit(3), crun(true)))).toEqual([[RUNC_CONF, 3]]);
    expect(host.texts[DEFAULT_CONF]).toBe('# mine\n');
    expect(host.texts[RUNC_CONF]).toContain('ghost-limit 3145728');
  });

  test('an option that crun sets itself is left out and said', async () => {
    const host = new Node({});
    const wanted: WantedLines = { ghostLimitBytes: null, options: ['LinkRemap', 'TcpEstablished'] };
    const { remarks } = await host.enforce(wanted, crun(false));
    expect(host.texts[DEFAULT_CONF]).toContain('\nlink-remap\n');
    expect(host.texts[DEFAULT_CONF]).not.toContain('tcp-established');
    expect(host.texts[RUNC_CONF]).toContain('\ntcp-established\n');
    expect(remarks).toMatchObject([{ path: DEFAULT_CONF, reason: 'OptionOverruled' }]);
  });
});

describe('crun.conf', () => {
  test('that exists is kept as well, and is never made', async () => {
    const host = new Node({ [CRUN_CONF]: '' });
    expect(limits(await host.enforce(limit(3), crun(true)))).toEqual([
      [RUNC_CONF, 3],
      [CRUN_CONF, 3],
    ]);
    await host.enforce(NOTHING, crun(true));
    expect(host.texts).toEqual({ [RUNC_CONF]: null, [CRUN_CONF]: '', [DEFAULT_CONF]: null });
    host.node.files.delete(CRUN_CONF);
    expect(limits(await host.enforce(limit(3), crun(true)))).toEqual([[RUNC_CONF, 3]]);
    expect(host.texts[CRUN_CONF]).toBeNull();
  });

  test('that CRIU refuses concerns containers of crun only', async () => {
    const host = new Node({ [CRUN_CONF]: 'no-such-option\n' });
    const enforced = await host.enforce(limit(3), crun(true));
    expect(enforced.files.map(({ path, verdict }) => [path, verdict])).toEqual([
      [RUNC_CONF, 'Accepted'],
      [CRUN_CONF, 'Refused'],
    ]);
    expect(enforced.readBy(CRUN_CONTAINER).map(({ path }) => path)).toEqual([CRUN_CONF, DEFAULT_CONF]);
    expect(enforced.readBy(RUNC_CONTAINER).map(({ path }) => path)).toEqual([RUNC_CONF, DEFAULT_CONF]);
  });
});

describe('what a container reads', () => {
  test.each([
    ['crun that reads files', crun(true), {}, RUNC_CONF],
    ['crun that does not', crun(false), {}, DEFAULT_CONF],
    ['crun with a crun.conf', crun(true), { [CRUN_CONF]: '' }, CRUN_CONF],
  ])('%s', async (_, readers, files, expected) => {
    const enforced = await new Node(files).enforce(NOTHING, readers);
    expect(enforced.readBy(CRUN_CONTAINER)[0].path).toBe(expected);
    expect(enforced.readBy({ runtime: 'podman', ociRuntime: 'crun' })[0].path).toBe(expected);
    expect(enforced.readBy(RUNC_CONTAINER)[0].path).toBe(RUNC_CONF);
  });
});

test('a file that cannot be written does not keep the others from being right, and what is beneath it counts', async () => {
  const host = new Node({ [RUNC_CONF]: '# mine\n' });
  // default.conf is new, and nothing is renamed there.
  host.node.files.fail('rename', 'EPERM', { always: true });
  const { files, settled } = await host.enforce(limit(3), crun(false));
  expect(
    files.map(({ path, state, effectiveLimitBytes }) => [path, state, effectiveLimitBytes / MIB]),
  ).toEqual([
    [RUNC_CONF, 'FileImmutable', 3],
    [DEFAULT_CONF, 'InSync', 3],
  ]);
  expect(settled).toBe(false);
  expect(host.texts[RUNC_CONF]).toBe('# mine\n');
});
