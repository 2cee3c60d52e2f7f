// The lab's engines are real: on each the checkpoint fails at CRIU's default limit and succeeds with one line in the
// file that this engine reads. And its disks lose what a power cut takes.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BUILT_CONTAINERD, containerdBind } from '../../hack/lab/containerd-build.ts';
import { startContainerd } from '../../hack/lab/containerd.ts';
import type { LabContainerd } from '../../hack/lab/containerd.ts';
import { oldLibcriuBind } from '../../hack/lab/crun.ts';
import { jreBind, startDocker } from '../../hack/lab/docker.ts';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { startLabNode } from '../../hack/lab/lab-node.ts';
import type { Bind, LabNode, LabNodeOptions } from '../../hack/lab/lab-node.ts';
import { createLoopDisk, HERE } from '../../hack/lab/loop-disk.ts';
import type { LoopDisk } from '../../hack/lab/loop-disk.ts';
import { importNettyImage, NETTY_LIBRARY_BYTES, NETTY_TLS, nettyBind } from '../../hack/lab/netty.ts';
import { importPodmanBusyboxImage, startPodman } from '../../hack/lab/podman.ts';
import type { LabPodman } from '../../hack/lab/podman.ts';
import { ended } from '../../hack/lab/program.ts';
import { parseMessage, printMessage } from '../../hack/lab/protobuf.ts';
import { startRuncContainer } from '../../hack/lab/runc.ts';
import type { OciRuntime, RuncContainer } from '../../hack/lab/runc.ts';

const LAB = resolve(import.meta.dirname, '../../hack/lab');
const quiet = (): void => undefined;
/** The first time on a machine a tree may have to be built, containerd the longest. */
const BUILD_TIMEOUT_MS = 900_000;
const GHOST = { path: '/tmp/lib.so', bytes: 2_715_648 };
const GHOST_SENTENCE = "Can't dump ghost file /tmp/lib.so of 2715648 size, increase limit";
const LINE = 'ghost-limit 2715648\n';

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > giveUpAt) throw new Error(`waited 60 s in vain until ${what}`);
    await sleep(50);
  }
}

const startNode = (options: Omit<LabNodeOptions, 'progress'>): Promise<LabNode> =>
  startLabNode({ ...options, progress: quiet });

const textOf = async (node: LabNode, path: string): Promise<string> =>
  (await node.readFile(path))?.toString() ?? `there is no ${path}`;

type CriuFiles = Partial<Record<'default.conf' | 'runc.conf' | 'crun.conf', string>>;

/** Makes /etc/criu hold these files and no other. */
async function setCriuFiles(node: LabNode, files: CriuFiles): Promise<void> {
  await node.run(['sh', '-c', 'rm -f /etc/criu/*']);
  for (const [name, text] of Object.entries(files)) await node.writeFile(`/etc/criu/${name}`, text);
}

/** The count of a ghost holder whose container's files are at `root` in the node. */
const counterOf = async (node: LabNode, root: string): Promise<number> =>
  Number(await textOf(node, `${root}/tmp/counter`));

function startScript(text: string, env: Record<string, string> = {}): ChildProcess {
  const argv = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', text];
  return spawn(process.execPath, argv, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'));
  }
  throw new Error(`the script ended without a line: ${text}`);
}

describe('crun, with a deleted file over the default limit', () => {
  async function startHolder(node: LabNode): Promise<RuncContainer> {
    const container = await startRuncContainer(node, {
      id: 'crun-ghost',
      runtime: 'crun',
      args: ghostHolder([GHOST]),
      hostNetwork: true,
    });
    await until('the file is held', async () => (await counterOf(node, container.rootfs)) > 0);
    return container;
  }

  async function outcome(node: LabNode, container: RuncContainer, files: CriuFiles): Promise<string> {
    await setCriuFiles(node, files);
    const { code, stderr, workPath } = await container.checkpoint();
    if (code === 0) return 'dumped';
    const log = await textOf(node, `${workPath}/dump.log`);
    return log.includes(GHOST_SENTENCE) ? 'ghost' : stderr;
  }

  /** What each file does for a crun that reads them all, and for one that reads default.conf alone (crun before 1.26, libcriu before 4.2). */
  const CASES: [string, CriuFiles, string, string][] = [
    ['no file', {}, 'ghost', 'ghost'],
    ['runc.conf', { 'runc.conf': LINE }, 'dumped', 'ghost'],
    ['an empty crun.conf, which hides runc.conf', { 'runc.conf': LINE, 'crun.conf': '' }, 'ghost', 'ghost'],
    ['crun.conf', { 'crun.conf': LINE }, 'dumped', 'ghost'],
    ['default.conf', { 'default.conf': LINE }, 'dumped', 'dumped'],
  ];

  describe.each([
    ['of Debian sid', 'sid', false],
    ['of Debian sid with the libcriu of Debian 13', 'sid', true],
    ['of Debian 13', 'trixie', false],
  ] as const)('%s', (_, release, withOldLibcriu) => {
    let node: LabNode;
    let container: RuncContainer;
    beforeAll(async () => {
      const binds: Bind[] = withOldLibcriu ? [await oldLibcriuBind(quiet)] : [];
      node = await startNode({ name: 'crun', release, binds });
      container = await startHolder(node);
    }, BUILD_TIMEOUT_MS);
    afterAll(() => node.stop());

    const readsAll = release === 'sid' && !withOldLibcriu;

    test.each(CASES)('%s', async (_name, files, whenRead, whenNot) => {
      expect(await outcome(node, container, files)).toBe(readsAll ? whenRead : whenNot);
    });

    test('the program has gone on', async () => {
      const then = await counterOf(node, container.rootfs);
      await until('it counts', async () => (await counterOf(node, container.rootfs)) > then);
    });
  });
});

describe('Podman', () => {
  /** POST by the service's socket, as the product does it. */
  const post = (podman: LabPodman, path: string): Promise<{ status: number; body: string }> =>
    new Promise((resolvePromise, reject) => {
      const call = request({ socketPath: podman.socketPath, method: 'POST', path }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('end', () => {
          resolvePromise({ status: response.statusCode ?? 0, body });
        });
      });
      call.on('error', reject);
      call.end();
    });
  const checkpoint = (podman: LabPodman, name: string): Promise<{ status: number; body: string }> =>
    post(podman, `/v5.0.0/libpod/containers/${name}/checkpoint?leaveRunning=true`);

  async function startHolder(node: LabNode, podman: LabPodman, runtime: OciRuntime): Promise<string> {
    const name = `ghost-${runtime}`;
    await podman.runContainer({ name, runtime, image: 'busybox:lab', args: ghostHolder([GHOST]) });
    await until(
      'the file is held',
      async () => (await node.exec(['podman', 'exec', name, 'cat', '/tmp/ready'])).code === 0,
    );
    return name;
  }

  describe.each([
    ['Debian sid, which reads runc.conf with both', 'sid', 'runc.conf'],
    ['Debian 13, whose crun reads default.conf alone', 'trixie', 'default.conf'],
  ] as const)('%s', (_, release, crunFile) => {
    let node: LabNode;
    let podman: LabPodman;
    beforeAll(async () => {
      node = await startNode({ name: 'podman', release });
      podman = await startPodman(node);
      await importPodmanBusyboxImage(node, 'busybox:lab');
    }, BUILD_TIMEOUT_MS);
    afterAll(async () => {
      await podman.stop();
      // Podman tidies up after each container with a program of its own, which it does not wait for.
      await until('no podman runs', async () => (await node.exec(['pgrep', '-x', 'podman'])).code === 1);
      await node.stop();
    });

    test.each([
      ['runc', 'runc.conf'],
      ['crun', crunFile],
    ] as const)('%s: refused at the default limit, dumped with a line in %s', async (runtime, file) => {
      const name = await startHolder(node, podman, runtime);
      await setCriuFiles(node, {});
      const refused = await checkpoint(podman, name);
      expect(refused.status).toBe(500);
      expect(refused.body).toMatch(new RegExp(`${runtime}.* checkpoint .* failed: exit status 1`));
      expect(await textOf(node, await podman.dumpLogPath(name))).toContain(GHOST_SENTENCE);
      expect(await podman.readServiceLog()).toContain(
        runtime === 'crun' ? 'CRIU checkpointing failed' : 'criu failed: type',
      );

      const other = file === 'default.conf' ? { 'runc.conf': LINE, 'crun.conf': LINE } : {};
      await setCriuFiles(node, other);
      expect(await checkpoint(podman, name)).toMatchObject({ status: 500 });
      await setCriuFiles(node, { [file]: LINE });
      expect(await checkpoint(podman, name)).toMatchObject({ status: 200 });
      expect(await podman.checkpoint(name)).toMatchObject({ code: 0 });
      expect(await podman.podman('inspect', '--format', '{{.State.Running}} {{.OCIRuntime}}', name)).toBe(
        `true ${runtime}`,
      );
    });
  });
});

describe.each(['root', 'built'] as const)('containerd’s CRI, the one %s', (version) => {
  let node: LabNode;
  let containerd: LabContainerd;
  const pod = { name: 'web', namespace: 'shop', uid: '0f8d' };
  const image = 'docker.io/library/busybox:lab';

  beforeAll(async () => {
    const binds = version === 'built' ? [await containerdBind(quiet)] : [];
    node = await startNode({ name: 'containerd', binds });
    containerd = await startContainerd(node, { version, passedAnnotations: ['org.criu.config'] });
    await containerd.importBusyboxImage(image);
  }, BUILD_TIMEOUT_MS);
  afterAll(async () => {
    await containerd.stop();
    await node.stop();
  });

  const failure = async (attempt: Promise<void>): Promise<unknown> => {
    try {
      await attempt;
      return 'no failure';
    } catch (error) {
      return error;
    }
  };

  test('says which it is', async () => {
    const { name, version: said } = await containerd.cri.version();
    expect(name).toBe('containerd');
    expect(said).toMatch(version === 'built' ? new RegExp(`^${BUILT_CONTAINERD}$`) : /^2\.\d+\./);
  });

  test('a pod’s container: refused with CRIU’s sentence, dumped with a line in runc.conf, and it goes on', async () => {
    const podId = await containerd.cri.runPod(pod);
    const container = { name: 'c', image, command: ghostHolder([GHOST]) };
    const id = await containerd.cri.startContainer(podId, pod, container);
    const status = await containerd.cri.containerStatus(id);
    expect(status).toMatchObject({
      id,
      name: 'c',
      state: 1,
      labels: {
        'io.kubernetes.container.name': 'c',
        'io.kubernetes.pod.name': 'web',
        'io.kubernetes.pod.namespace': 'shop',
        'io.kubernetes.pod.uid': '0f8d',
      },
    });
    const root = `/proc/${String(status.info['pid'])}/root`;
    await until('the file is held', async () => (await counterOf(node, root)) > 0);

    await setCriuFiles(node, {});
    expect(await failure(containerd.cri.checkpoint(id, '/run/refused.tar'))).toMatchObject({
      name: 'CriError',
      code: 2,
      message: `checkpointing container "${id}" failed: runc did not terminate successfully: exit status 1: criu failed: type DUMP errno 0 path= ${containerd.dumpLogPath(id)}`,
    });
    expect(await textOf(node, containerd.dumpLogPath(id))).toContain(GHOST_SENTENCE);

    await setCriuFiles(node, { 'runc.conf': LINE });
    await containerd.cri.checkpoint(id, '/run/taken.tar');
    expect(await node.run(['tar', '-tf', '/run/taken.tar'])).toContain('checkpoint/ghost-file-');
    const then = await counterOf(node, root);
    await until('it counts', async () => (await counterOf(node, root)) > then);
    await containerd.cri.removePod(podId);
    expect(await failure(containerd.cri.checkpoint(id, '/run/gone.tar'))).toMatchObject({ code: 5 });
  });

  test('org.criu.config of a pod takes the place of runc.conf where containerd passes it on', async () => {
    const annotated = {
      ...pod,
      name: 'own',
      uid: '0f8e',
      annotations: { 'org.criu.config': '/run/own.conf' },
    };
    const podId = await containerd.cri.runPod(annotated);
    const id = await containerd.cri.startContainer(podId, annotated, {
      name: 'c',
      image,
      command: ghostHolder([GHOST]),
    });
    const { info } = await containerd.cri.containerStatus(id);
    expect(info['runtimeSpec']).toMatchObject({ annotations: { 'org.criu.config': '/run/own.conf' } });
    await until(
      'the file is held',
      async () => (await counterOf(node, `/proc/${String(info['pid'])}/root`)) > 0,
    );
    await setCriuFiles(node, { 'runc.conf': LINE });
    expect(await failure(containerd.cri.checkpoint(id, '/run/own-1.tar'))).toMatchObject({ code: 2 });
    expect(await textOf(node, containerd.dumpLogPath(id))).toContain(GHOST_SENTENCE);
    await node.writeFile('/run/own.conf', LINE);
    await containerd.cri.checkpoint(id, '/run/own-2.tar');
    await containerd.cri.removePod(podId);
  });
});

test(
  'the real Netty on Docker: its deleted library is refused, then dumped, and the program ticks on',
  async () => {
    const node = await startNode({ name: 'netty', binds: [await jreBind(quiet), await nettyBind(quiet)] });
    try {
      const docker = await startDocker(node);
      await importNettyImage(node, 'netty:lab');
      await docker.docker('run', '-d', '--name', 'tls', '--network', 'host', 'netty:lab', ...NETTY_TLS);
      const lines = async (): Promise<string[]> => (await docker.docker('logs', 'tls')).split('\n');
      await until('it ticks', async () => (await lines()).includes('tick 1'));
      expect(await lines()).toContain('loaded BoringSSL');
      const checkpoint = (name: string): ReturnType<LabNode['exec']> =>
        node.exec(['docker', 'checkpoint', 'create', '--leave-running', 'tls', name]);

      const refused = await checkpoint('c1');
      expect(refused.stderr).toContain('criu failed: type DUMP errno 0');
      const log = await textOf(node, /path= (\S+)/.exec(refused.stderr)?.[1] ?? 'no path in the message');
      expect(log).toMatch(
        new RegExp(
          `Can't dump ghost file /tmp/libnetty_tcnative_linux_\\w+\\.so of ${NETTY_LIBRARY_BYTES} size, increase limit`,
        ),
      );
      await setCriuFiles(node, { 'runc.conf': 'ghost-limit 3145728\n' });
      expect(await checkpoint('c2')).toMatchObject({ code: 0, stdout: 'c2\n' });
      const count = (await lines()).length;
      await until('it ticks on', async () => (await lines()).length > count);
      await docker.stop();
    } finally {
      await node.stop();
    }
  },
  BUILD_TIMEOUT_MS,
);

describe('disks whose power is cut', () => {
  /** Image paths of the loop devices of this machine, as the node that set them up named them. */
  const loopImages = (): string[] =>
    readdirSync('/sys/block').flatMap((device) => {
      try {
        return [readFileSync(`/sys/block/${device}/loop/backing_file`, 'utf8').trim()];
      } catch {
        return [];
      }
    });

  describe.each(['ext4', 'xfs'] as const)('%s', (fileSystem) => {
    const folder = `/run/cut-${fileSystem}-${process.pid}`;
    let node: LabNode;
    let disk: LoopDisk;
    beforeAll(async () => {
      node = await startNode({ name: 'disk' });
      disk = await createLoopDisk(node, { fileSystem, folder });
    });
    afterAll(() => node.stop());

    const at = (name: string): string => `${disk.mountPoint}/${name}`;

    test('what was synced stays, what was not is gone, and until the remount nothing can be written', async () => {
      await node.run(['sh', '-ec', 'echo kept > "$1"; sync "$1" "$2"', 'write', at('kept'), disk.mountPoint]);
      await node.run([
        'sh',
        '-ec',
        'echo lost > "$1"; mv "$2" "$3"',
        'write',
        at('lost'),
        at('kept'),
        at('new'),
      ]);
      await disk.cut();
      const write = await node.exec(['sh', '-c', 'echo late > "$1"', 'write', at('late')]);
      expect(write.code).not.toBe(0);
      expect(write.stderr).toContain('Input/output error');
      await disk.remount();
      expect((await node.run(['ls', '-A', disk.mountPoint])).split('\n').filter(Boolean)).toEqual(
        fileSystem === 'ext4' ? ['kept', 'lost+found'] : ['kept'],
      );
      expect(await textOf(node, at('kept'))).toBe('kept\n');
    });

    test('20 cuts: a synced rename over a file holds each time', async () => {
      const write = 'cd "$1"; echo "$2" > temporary; sync temporary; mv temporary file; sync .';
      for (let round = 1; round <= 20; round += 1) {
        await node.run(['sh', '-ec', write, 'write', disk.mountPoint, String(round)]);
        await disk.cutAndRemount();
        expect(await textOf(node, at('file'))).toBe(`${round}\n`);
      }
    });

    test('is gone with its loop device when it is removed', async () => {
      expect(loopImages()).toContain(disk.imagePath);
      await disk.remove();
      await until('the loop device is free', () => !loopImages().includes(disk.imagePath));
      expect((await node.exec(['ls', folder])).code).not.toBe(0);
    });
  });

  test('no loop device stays when the starter of its node is killed', async () => {
    const folder = `/run/left-${process.pid}`;
    const child = startScript(`
      import { startLabNode } from ${JSON.stringify(join(LAB, 'lab-node.ts'))};
      import { createLoopDisk } from ${JSON.stringify(join(LAB, 'loop-disk.ts'))};
      const node = await startLabNode({ name: 'left', progress: () => undefined });
      const disk = await createLoopDisk(node, { fileSystem: 'ext4', folder: ${JSON.stringify(folder)} });
      node.spawn(['sh', '-c', 'exec 9> "$1"; sleep 1000', 'hold', disk.mountPoint + '/open']);
      console.log(disk.imagePath);
      setInterval(() => undefined, 1000);`);
    const imagePath = await firstLine(child);
    expect(loopImages()).toContain(imagePath);
    child.kill('SIGKILL');
    await ended(child);
    await until('the loop device is free', () => !loopImages().some((path) => path.startsWith(folder)));
  });

  test('a program inside a node makes one without leaving the node', async () => {
    await expect(HERE.run(['false'])).rejects.toThrow(/false exited with 1/);
    expect(await HERE.run(['echo', 'out'])).toBe('out\n');
    const node = await startNode({ name: 'inside' });
    const script = `
      import { createLoopDisk, HERE } from '/opt/ghostlimit/hack/lab/loop-disk.ts';
      import { existsSync, writeFileSync } from 'node:fs';
      const disk = await createLoopDisk(HERE, { fileSystem: 'ext4', folder: '/run/inside', mountOptions: 'noauto_da_alloc' });
      writeFileSync(disk.mountPoint + '/lost', 'lost');
      await disk.cutAndRemount();
      console.log(existsSync(disk.mountPoint + '/lost'), existsSync(disk.mountPoint + '/lost+found'));
      await disk.remove();
      console.log(existsSync('/run/inside'));`;
    try {
      const argv = ['node', '--input-type=module', '--disable-warning=ExperimentalWarning', '--eval', script];
      expect(await node.run(argv)).toBe('false true\nfalse\n');
    } finally {
      await node.stop();
    }
  });
});

describe('the CRI’s messages', () => {
  // Bytes by hand from the protobuf encoding guide: tag = number * 8 + wire type.
  test('are printed as protobuf has them', () => {
    const message = printMessage({
      1: 'ab',
      2: 300,
      3: true,
      4: Buffer.from([7]),
      6: { k: 'v' },
      9: ['x', 'y'],
    });
    expect(message.toString('hex')).toBe(
      ['0a026162', '10ac02', '1801', '220107', '32060a016b120176', '4a0178', '4a0179'].join(''),
    );
    expect(printMessage({ 17: '' }).toString('hex')).toBe('8a0100');
  });

  test('are parsed: the last value counts, what is absent is empty, numbers beyond 32 bits are whole', () => {
    const message = parseMessage(
      Buffer.from('0a01610a0162' + '108080808080808004' + '32060a016b120176', 'hex'),
    );
    expect(message.text(1)).toBe('b');
    expect(message.integer(2)).toBe(2 ** 51);
    expect(message.map(6)).toEqual({ k: 'v' });
    expect(message.messages(6)).toHaveLength(1);
    expect([message.text(7), message.integer(7), message.messages(7), message.map(7)]).toEqual([
      '',
      0,
      [],
      {},
    ]);
  });

  test('are refused with another wire type, and when cut short', () => {
    expect(() => parseMessage(Buffer.from('0d00000000', 'hex'))).toThrow(/wire type 5/);
    expect(() => parseMessage(Buffer.from('10ac', 'hex'))).toThrow(/out of range/);
    expect(() => parseMessage(Buffer.from('0a0261', 'hex'))).toThrow(/out of range/);
  });
});

describe('what is missing is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ghostlimit-engines-test-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const messageOf = (file: string, name: string): Promise<string> => {
    const script = `
      import { ${name} } from ${JSON.stringify(join(LAB, file))};
      await ${name}(() => undefined).then(console.log, (error) => console.log(error.message));`;
    return firstLine(startScript(script, { XDG_CACHE_HOME: folder, PATH: folder }));
  };

  test('Go, and Maven where there is no apt-get', async () => {
    expect(await messageOf('containerd-build.ts', 'ensureContainerd')).toMatch(
      /^containerd 2\.4\.2 is built from its Go module, but there is no Go: install Go 1\.26 or newer/,
    );
    expect(await messageOf('netty.ts', 'ensureNettyTree')).toBe(
      'mvn is missing and there is no apt-get to install it with: install maven, then try again.',
    );
    expect(readdirSync(join(folder, 'ghostlimit'))).toEqual([]);
  });

  test('a Go that is too old', async () => {
    // The words of a real `go build` with GOTOOLCHAIN=local.
    const words = 'go: go.mod requires go >= 1.26 (running go 1.21.0; GOTOOLCHAIN=local)';
    const go = `#!/bin/sh\n[ "$1" = version ] && exit 0\necho "${words}" >&2\nexit 1\n`;
    writeFileSync(join(folder, 'go'), go, { mode: 0o755 });
    const script = `
      import { ensureContainerd } from ${JSON.stringify(join(LAB, 'containerd-build.ts'))};
      await ensureContainerd(() => undefined).catch((error) => console.log(error.message.replace('\\n', ' ')));`;
    const path = `${folder}:${process.env['PATH'] ?? ''}`;
    const said = await firstLine(startScript(script, { XDG_CACHE_HOME: folder, PATH: path }));
    expect(said).toMatch(/^Go could not build containerd 2\.4\.2\./);
    expect(said).toContain(words);
    expect(readdirSync(join(folder, 'ghostlimit'))).toEqual([]);
  });
});
