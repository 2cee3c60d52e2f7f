// What others may do to the CRIU file's place on a host, done to the real agent: each its own reason in the report, the original untouched, and all well by itself when the cause goes.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { CheckpointNodeStatusSchema, type FileReport } from '../../src/api/checkpoint-node.ts';
import { DEFAULT_STATUS_FILE } from '../../src/api/names.ts';
import type { ReasonCode } from '../../src/api/reasons.ts';
import {
  eventually,
  limitPolicy,
  MIB,
  POLICIES,
  RUNC_CONF,
  startStandaloneHost,
  type StandaloneHost,
} from './standalone-host.ts';

const FOREIGN = '# platform team\r\nskip-in-flight\n# end';
const REAL = '/etc/criu-real';

let host: StandaloneHost;

const sh = (script: string): Promise<string> => host.node.run(['sh', '-ec', script]);
const ask = (mib: number): Promise<void> =>
  host.node.writeFile(`${POLICIES}/web.yaml`, limitPolicy('web', `{fixed: ${mib.toString()}Mi}`));
const lineOf = (mib: number): string => `ghost-limit ${(mib * MIB).toString()}`;

async function report(): Promise<FileReport | undefined> {
  const text = await host.node.readFile(DEFAULT_STATUS_FILE);
  const status = CheckpointNodeStatusSchema.parse(JSON.parse(text?.toString() ?? '{}'));
  return status.files.find(({ path }) => path === RUNC_CONF);
}

/** Some of what begins a fault shows in no directory: the next look, at most a minute later, finds it. */
const COMPARE_MS = 75_000;
/** The end of a fault shows in none either: the agent tries again by itself, later each time, but at least twice a minute. */
const RETRY_MS = 45_000;

const reported = (state: ReasonCode, desiredMib: number, waitMs = COMPARE_MS): Promise<FileReport> =>
  eventually(
    `the report ${state} for ${desiredMib.toString()} MiB`,
    async () => {
      const file = await report();
      return file?.state === state && file.desiredLimitBytes === desiredMib * MIB ? file : null;
    },
    waitMs,
  );

async function inForce(mib: number): Promise<void> {
  await reported('InSync', mib, RETRY_MS);
  const conf = (await host.conf()) ?? '';
  expect(conf.split('\n')).toContain(lineOf(mib));
  expect(conf.startsWith(`${FOREIGN}\n# BEGIN ghostlimit`)).toBe(true);
}

beforeAll(async () => {
  host = await startStandaloneHost('other-writers');
  await host.startGhostContainer('web', MIB, '--label', 'app=web');
  await host.node.writeFile(RUNC_CONF, FOREIGN);
  await host.startAgent();
});
afterAll(async () => {
  await host.stop();
});
/** One agent for all of them: it must not need a restart to get over any. */
beforeEach(async () => {
  await ask(3);
  await inForce(3);
});

interface Fault {
  readonly name: string;
  readonly make: string;
  readonly unmake: string;
  readonly reason: ReasonCode;
  readonly message: RegExp;
}

/** /etc/criu on a file system of its own, with what was in it. The agent keeps a file that it has replaced there open for a while: the mount goes all the same, the rest later. */
const OWN_DISK = `cp -a /etc/criu ${REAL} && mount -t tmpfs -o size=64k,mode=755 tmpfs /etc/criu && cp -a ${REAL}/. /etc/criu`;
const OWN_DISK_GONE = `cp -a /etc/criu/runc.conf ${REAL}/ && umount -l /etc/criu && cp -a ${REAL}/runc.conf /etc/criu/ && rm -r ${REAL}`;

const FAULTS: readonly Fault[] = [
  {
    name: 'an immutable file',
    make: `chattr +i ${RUNC_CONF}`,
    unmake: `chattr -i ${RUNC_CONF}`,
    reason: 'FileImmutable',
    message: /EPERM.*\(\/etc\/criu\/runc\.conf is immutable: chattr -i \/etc\/criu\/runc\.conf\)/,
  },
  {
    name: 'an append-only file',
    make: `chattr +a ${RUNC_CONF}`,
    unmake: `chattr -a ${RUNC_CONF}`,
    reason: 'FileImmutable',
    message: /EPERM.*\(\/etc\/criu\/runc\.conf is append-only: chattr -a \/etc\/criu\/runc\.conf\)/,
  },
  {
    name: 'an immutable directory',
    make: 'chattr +i /etc/criu',
    unmake: 'chattr -i /etc/criu',
    reason: 'FileImmutable',
    message: /EPERM.*\(\/etc\/criu is immutable: chattr -i \/etc\/criu\)/,
  },
  {
    name: 'an immutable file on a host without lsattr',
    make: `chattr +i ${RUNC_CONF} && mv /usr/bin/lsattr /usr/bin/lsattr.gone`,
    unmake: `mv /usr/bin/lsattr.gone /usr/bin/lsattr && chattr -i ${RUNC_CONF}`,
    reason: 'FileImmutable',
    message:
      /EPERM.*\(the file or its directory is immutable or append-only.*or a security module forbids it\)/,
  },
  {
    name: 'a directory that is mounted read-only',
    make: 'mount --bind /etc/criu /etc/criu && mount -o remount,bind,ro /etc/criu',
    unmake: 'umount /etc/criu',
    reason: 'ReadOnlyFileSystem',
    message: /EROFS.*read-only/,
  },
  {
    name: 'a full file system',
    make: `${OWN_DISK} && { dd if=/dev/zero of=/etc/criu/ballast bs=4k 2> /dev/null || true; }`,
    unmake: `rm /etc/criu/ballast && ${OWN_DISK_GONE}`,
    reason: 'FileSystemFull',
    message: /ENOSPC.*disk is full/,
  },
  {
    name: 'a file that is a mount of its own',
    make: `cp -a ${RUNC_CONF} /etc/mounted.conf && mount --bind /etc/mounted.conf ${RUNC_CONF}`,
    unmake: `umount ${RUNC_CONF} && rm /etc/mounted.conf`,
    reason: 'FileMountedOver',
    message: /EBUSY.*mount of its own.*directory/,
  },
  {
    name: 'a directory that all may write to',
    make: 'chmod 0777 /etc/criu',
    unmake: 'chmod 0755 /etc/criu',
    reason: 'UnsupportedHost',
    message: /\/etc\/criu may be written to by others than root/,
  },
  {
    name: 'a directory of another user',
    make: 'chown 65534 /etc/criu',
    unmake: 'chown 0 /etc/criu',
    reason: 'UnsupportedHost',
    message: /belongs to user 65534, not to root/,
  },
  {
    name: 'a link into a directory that all may write to',
    make: `mkdir -m 0777 ${REAL} && mv ${RUNC_CONF} ${REAL}/ && ln -s ${REAL}/runc.conf ${RUNC_CONF}`,
    unmake: `mv ${REAL}/runc.conf ${RUNC_CONF} && rmdir ${REAL}`,
    reason: 'UnsupportedHost',
    message: /criu-real may be written to by others than root/,
  },
  {
    name: 'a link to a link',
    make: `mkdir ${REAL} && mv ${RUNC_CONF} ${REAL}/ && ln -s runc.conf ${REAL}/link && ln -s ${REAL}/link ${RUNC_CONF}`,
    unmake: `mv ${REAL}/runc.conf ${RUNC_CONF} && rm -r ${REAL}`,
    reason: 'UnsupportedHost',
    message: /link to another link/,
  },
];

describe.each(FAULTS)('$name', ({ make, unmake, reason, message }) => {
  test(`is reported as ${reason}, changes nothing, and is over when it is over`, async () => {
    await sh(make);
    try {
      const before = await host.conf();
      await ask(5);
      const file = await reported(reason, 5);
      expect(file.message).toMatch(message);
      expect(await host.conf()).toBe(before);
      expect(await sh('ls -A /etc/criu')).not.toMatch(/ghostlimit/);
    } finally {
      await sh(unmake);
    }
    await inForce(5);
  });
});

describe('an append-only directory', () => {
  test('is reported, collects no more than one file of ours, and is cleared when it is over', async () => {
    await sh('chattr +a /etc/criu');
    try {
      await ask(5);
      const { message } = await reported('FileImmutable', 5);
      expect(message).toMatch(/\/etc\/criu is append-only: chattr -a \/etc\/criu/);
      await ask(6);
      await reported('FileImmutable', 6);
      await ask(7);
      await reported('FileImmutable', 7);
      expect((await sh('ls -A /etc/criu')).split('\n').filter((name) => name.endsWith('.tmp'))).toHaveLength(
        1,
      );
      expect((await host.conf())?.split('\n')).toContain(lineOf(3));
    } finally {
      await sh('chattr -a /etc/criu');
    }
    await inForce(7);
    expect(await sh('ls -A /etc/criu')).toBe('runc.conf\n');
  });
});

describe('without what the file was', () => {
  const saved = '/etc/runc.conf.saved';

  test.each([
    ['a directory in its place', `mkdir ${RUNC_CONF}`, 'UnsupportedHost', /not a regular file/],
    ['a device in its place', `mknod ${RUNC_CONF} c 1 3`, 'UnsupportedHost', /not a regular file/],
    [
      '2 MiB of text',
      `yes '# x' | head -c 2097152 > ${RUNC_CONF}`,
      'ReadFailed',
      /larger than 1048576 bytes/,
    ],
    [
      'a link to nowhere',
      `ln -s /nowhere/at/all ${RUNC_CONF}`,
      'UnsupportedHost',
      /not reachable|is missing/,
    ],
  ] as const)('%s', async (_name, make, reason, message) => {
    // At once, else the agent makes the file anew in between.
    await sh(`cp -a ${RUNC_CONF} ${saved}; rm ${RUNC_CONF}; ${make}`);
    try {
      const before = await sh(`ls -ld ${RUNC_CONF}`);
      const file = await reported(reason, 3);
      expect(file.message).toMatch(message);
      await ask(5);
      await reported(reason, 5);
      expect(await sh(`ls -ld ${RUNC_CONF}`)).toBe(before);
    } finally {
      await sh(`rm -rf ${RUNC_CONF} && mv ${saved} ${RUNC_CONF}`);
    }
    await inForce(5);
  });
});

describe('a link to a file elsewhere', () => {
  const real = `${REAL}/criu.conf`;

  test('is followed: its target is replaced in its own directory, and the link stays', async () => {
    await sh(`mkdir ${REAL} && mv ${RUNC_CONF} ${real} && ln -s ../criu-real/criu.conf ${RUNC_CONF}`);
    await ask(5);
    await inForce(5);
    expect(await sh(`readlink ${RUNC_CONF}`)).toBe('../criu-real/criu.conf\n');
    expect((await host.node.readFile(real))?.toString()).toContain(lineOf(5));
    expect(await sh(`ls -A ${REAL}`)).toBe('criu.conf\n');
    await sh(`mv ${real} ${RUNC_CONF} && rmdir ${REAL}`);
    await inForce(5);
  });

  test('which is not there: it is made, and removed when nothing is wanted', async () => {
    await sh(`mkdir ${REAL} && mv ${RUNC_CONF} /etc/runc.conf.saved && ln -s ${real} ${RUNC_CONF}`);
    await eventually(
      'the target',
      async () => ((await host.node.readFile(real))?.toString().includes(lineOf(3)) === true ? true : null),
      COMPARE_MS,
    );
    await sh(`rm ${POLICIES}/web.yaml`);
    await eventually(
      'its end',
      async () => ((await host.node.readFile(real)) === null ? true : null),
      COMPARE_MS,
    );
    expect(await sh(`readlink ${RUNC_CONF}`)).toBe(`${real}\n`);
    await sh(`rmdir ${REAL} && mv /etc/runc.conf.saved ${RUNC_CONF}`);
    await eventually(
      'their text alone',
      async () => ((await host.conf()) === FOREIGN ? true : null),
      COMPARE_MS,
    );
  });
});
