// Real CRIU agrees with the scan: at the required limit the dump passes, one page below it fails for the ghost-limit.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MAKE_WAITING_PLACE, waitFor } from '../../hack/lab/ghost-holders.ts';
import { PROJECT_INSIDE, requireCriu, startLabNode, type LabNode } from '../../hack/lab/lab-node.ts';
import { startRuncContainer, type RuncContainer } from '../../hack/lab/runc.ts';
import type { GhostScan } from '../../src/ports/ghost-scanner.ts';

const PAGE = 4096;
const MIB = 1_048_576;

let node: LabNode;
const cleanUps: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  node = await startLabNode({ name: 'ghost-scan', progress: () => undefined });
  await requireCriu(node);
});

afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
  await node.stop();
});

/** Says that all is held, and waits. In a loop: a dump may end the wait. */
const READY = ': > /ready';
const WAIT = `while :; do ${waitFor()}; done`;

/** Starts a container that runs `script` in busybox's shell, and waits until it holds what it should. */
async function holdInContainer(id: string, script: string, prepare = ''): Promise<RuncContainer> {
  const bundle = `/run/lab-bundles/${id}`;
  await node.run(['sh', '-ec', `mkdir -p ${bundle}/rootfs; cd ${bundle}; ${prepare}`]);
  const container = await startRuncContainer(node, {
    id,
    args: ['/bin/sh', '-c', `${MAKE_WAITING_PLACE}; ${script}; ${READY}; ${WAIT}`],
    hostNetwork: true,
  });
  cleanUps.push(async () => {
    await node.exec(['runc', 'delete', '--force', id]);
    await node.exec(['umount', '-l', container.rootfs]);
    await container.remove();
  });
  const waited = 'for i in $(seq 600); do [ -e "$1" ] && exit 0; sleep 0.1; done; exit 1';
  await node.run(['sh', '-c', waited, 'wait', `${container.rootfs}/ready`]);
  return container;
}

async function scan(container: RuncContainer): Promise<GhostScan> {
  const script = `${PROJECT_INSIDE}/test/lab/scan-inside.ts`;
  return JSON.parse(await node.run(['node', script, String(container.pid)])) as GhostScan;
}

/** Dumps with these lines in force; gives the errors of dump.log, '' when it passed. */
async function dumpErrors(container: RuncContainer, limitBytes: number, linkRemap: boolean): Promise<string> {
  await node.writeFile(
    '/etc/criu/runc.conf',
    `ghost-limit ${limitBytes}\n${linkRemap ? 'link-remap\n' : ''}`,
  );
  const { code, workPath } = await container.checkpoint();
  if (code === 0) return '';
  const log = (await node.readFile(`${workPath}/dump.log`))?.toString('latin1') ?? 'no dump.log';
  const errors = log.split('\n').filter((line) => line.includes('Error'));
  return errors.length > 0 ? errors.join('\n') : `exit code ${code} without an error line`;
}

// A file on an overlay: the container's root gets a lower layer that holds /image.
const OVERLAY = `mkdir -p lower/folder upper work; head -c ${3 * MIB} /dev/zero > lower/image;
  mount -t overlay overlay -o lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work rootfs`;

const limited: [
  string,
  { script: string; prepare?: string; requiredBytes: number | 'executable'; remap: string; kind: string },
][] = [
  [
    'open',
    {
      script: `exec 3<>/tmp/a; head -c ${2 * MIB} /dev/zero >&3; rm /tmp/a`,
      requiredBytes: 2 * MIB,
      remap: 'Ghost',
      kind: 'Fd',
    },
  ],
  [
    'under a name of kernel memory',
    {
      script: `exec 3<>/memfd:x; head -c ${2 * MIB} /dev/zero >&3; rm /memfd:x`,
      requiredBytes: 2 * MIB,
      remap: 'Ghost',
      kind: 'Fd',
    },
  ],
  [
    'on /dev/shm',
    {
      script: `exec 3<>/dev/shm/a; head -c ${2 * MIB} /dev/zero >&3; rm /dev/shm/a`,
      requiredBytes: 2 * MIB,
      remap: 'Ghost',
      kind: 'Fd',
    },
  ],
  [
    'held by a child',
    {
      script: `{ exec 3<>/tmp/a; head -c ${2 * MIB} /dev/zero >&3; rm /tmp/a; : > /held; ${WAIT}; } & while [ ! -e /held ]; do sleep 0.1; done`,
      requiredBytes: 2 * MIB,
      remap: 'Ghost',
      kind: 'Fd',
    },
  ],
  [
    'the executable',
    {
      script: `cp /bin/busybox /tmp/busybox2; exec /tmp/busybox2 sh -c "rm /tmp/busybox2; ${READY}; ${WAIT}"`,
      requiredBytes: 'executable',
      remap: 'Ghost',
      kind: 'Map',
    },
  ],
  [
    'allocated beyond its size',
    {
      prepare: `touch rootfs/early; fallocate --keep-size --length ${4 * MIB} rootfs/early`,
      script: 'exec 3<>/early; rm /early',
      requiredBytes: 4 * MIB,
      remap: 'Ghost',
      kind: 'Fd',
    },
  ],
  [
    'of a lower layer',
    {
      prepare: OVERLAY,
      script: 'exec 3</image; rm /image',
      requiredBytes: 3 * MIB,
      remap: 'LinkRemapThenGhost',
      kind: 'Fd',
    },
  ],
];

describe('the required limit is the lowest that passes', () => {
  test.each(limited)('%s', async (name, { script, prepare, requiredBytes, remap, kind }) => {
    const container = await holdInContainer(
      `limit-${limited.findIndex(([other]) => other === name)}`,
      script,
      prepare,
    );
    const found = await scan(container);
    expect(found.blockers).toEqual([]);
    expect(found.files).toMatchObject([{ remap, kind }]);
    const expected =
      requiredBytes === 'executable'
        ? Math.ceil(Number(await node.run(['stat', '-c', '%s', '/bin/busybox'])) / PAGE) * PAGE
        : requiredBytes;
    expect(found.requiredGhostLimitBytes).toBe(expected);
    expect(await dumpErrors(container, expected, found.linkRemapRequired)).toBe('');
    expect(await dumpErrors(container, expected - PAGE, found.linkRemapRequired)).toContain(
      "Can't dump ghost file",
    );
  });
});

describe('what needs no limit', () => {
  test('a sparse file passes the limit of 1 MiB on this CRIU; the scan asks for its size, for older ones', async () => {
    const container = await holdInContainer(
      'sparse',
      `exec 3<>/tmp/a; truncate -s ${50 * MIB} /tmp/a; rm /tmp/a`,
    );
    expect((await scan(container)).requiredGhostLimitBytes).toBe(50 * MIB);
    expect(await dumpErrors(container, MIB, false)).toBe('');
  });

  test.each([
    ['on the root file system', ''],
    ['on an overlay', OVERLAY],
  ])('a file with another link left needs link-remap only, %s', async (where, prepare) => {
    const script = `exec 3<>/tmp/a; head -c ${2 * MIB} /dev/zero >&3; ln /tmp/a /tmp/b; rm /tmp/a`;
    const container = await holdInContainer(`linked-${where.length}`, script, prepare);
    const found = await scan(container);
    expect(found).toMatchObject({ requiredGhostLimitBytes: 0, linkRemapRequired: true, blockers: [] });
    expect(await dumpErrors(container, MIB, true)).toBe('');
    expect(await dumpErrors(container, 8 * MIB, false)).toContain("Can't create link remap");
  });

  test('an existing file whose name ends in the mark', async () => {
    const script = `exec 3<>"/tmp/x (deleted)"; head -c ${2 * MIB} /dev/zero >&3`;
    const container = await holdInContainer('marked', script);
    expect(await scan(container)).toMatchObject({ files: [], blockers: [], requiredGhostLimitBytes: 0 });
    expect(await dumpErrors(container, MIB, false)).toBe('');
  });
});

describe('what the scan calls a blocker fails with link-remap and any limit', () => {
  test.each([
    ['LinkRemapFailed', 'cd /folder; rmdir /folder', "Can't link remap"],
    [
      'PathReused',
      'exec 3<>/tmp/a; ln /tmp/a /tmp/b; rm /tmp/a; touch "/tmp/a (deleted)"',
      'Unaccessible path opened',
    ],
  ])('%s', async (code, script, message) => {
    const container = await holdInContainer(`blocker-${code.toLowerCase()}`, script, OVERLAY);
    const found = await scan(container);
    expect(found.blockers.map((blocker) => blocker.code)).toEqual([code]);
    expect(await dumpErrors(container, 64 * MIB, true)).toContain(message);
  });
});
