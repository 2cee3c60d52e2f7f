// What the real scanner finds in real processes, one way of holding a file a test. Sizes on the memory file system are
// whole pages by hand; on disk the process tells what its own fstat says. Needs root (map_files, mounts) and python3.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { copyFileSync, mkdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GhostScan } from '../../src/api/ghost-scan.ts';
import { ScanFailed } from '../../src/ports/ghost-scanner.ts';
import { endAll, hold, holdInMountNamespace, holdWithPython, makeFolder, run } from './held-process.ts';
import { startProcGhostScanner } from './proc-ghost-scanner.ts';

const MIB = 1_048_576;

const scanner = startProcGhostScanner();

beforeAll(() => {
  if (process.getuid?.() !== 0)
    throw new Error('following /proc/PID/map_files and mounting need root: run the contract tests as root');
});

afterAll(async () => {
  await endAll();
  scanner.close();
});

async function scanPython(program: string): Promise<GhostScan> {
  const held = await holdWithPython(program);
  return scanner.scan(held.pid);
}

const withoutRemarks = { blockers: [], warnings: [] };

describe('the memory that a dump would write', () => {
  test('anonymous memory of every process, shared memory once', async () => {
    const bare = (await scanPython('ready()')).residentBytes;
    const scan = await scanPython(`
shared = mmap.mmap(-1, 33554432); shared.write(b"s" * 33554432)
def work():
    global own; own = b"c" * 67108864
    for page in range(0, 33554432, 4096): shared[page]
fork_child(work)
own = b"p" * 67108864
time.sleep(0); ready()`);
    // Two interpreters, 64 MiB in each, 32 MiB that both map; the rest is what an interpreter moves by.
    const extra = scan.residentBytes - 2 * bare;
    expect(extra).toBeGreaterThanOrEqual((64 + 64 + 32 - 16) * MIB);
    expect(extra).toBeLessThan((64 + 64 + 32 + 24) * MIB);
  });
});

describe('a ghost file', () => {
  test('open and unlinked, on three descriptors', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
descriptor = write("${folder}/a", 2097152)
os.dup(descriptor); os.dup(descriptor)
os.unlink("${folder}/a"); ready()`);
    expect(scan).toMatchObject({
      requiredGhostLimitBytes: 2 * MIB,
      linkRemapRequired: false,
      ...withoutRemarks,
    });
    expect(scan.files).toEqual([
      {
        path: `${folder}/a`,
        kind: 'Fd',
        remap: 'Ghost',
        sizeBytes: 2 * MIB,
        allocatedBytes: 2 * MIB,
        references: 3,
      },
    ]);
  });

  test('mapped, unlinked, descriptor closed: only map_files shows it', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
descriptor = write("${folder}/lib.so", 3145728)
libc.mmap.restype = ctypes.c_void_p
libc.mmap(None, 3145728, mmap.PROT_READ, mmap.MAP_PRIVATE, descriptor, 0)
os.close(descriptor); os.unlink("${folder}/lib.so"); ready()`);
    expect(scan).toMatchObject({ requiredGhostLimitBytes: 3 * MIB, ...withoutRemarks });
    expect(scan.files).toMatchObject([
      { path: `${folder}/lib.so`, kind: 'Map', remap: 'Ghost', references: 1 },
    ]);
  });

  test('mapped and open counts once, as a mapping', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
descriptor = write("${folder}/lib.so", 8192)
kept = mmap.mmap(descriptor, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
os.unlink("${folder}/lib.so"); ready()`);
    // mmap.mmap keeps a copy of the descriptor: two descriptors and one mapping.
    expect(scan.files).toMatchObject([{ kind: 'Map', references: 3, sizeBytes: 8192 }]);
  });

  test('renamed over: the old inode under the same path', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
old = write("${folder}/config", 20480); write("${folder}/new", 4096)
os.rename("${folder}/new", "${folder}/config"); ready()`);
    expect(scan.files).toMatchObject([{ path: `${folder}/config`, remap: 'Ghost', sizeBytes: 20_480 }]);
    expect(scan.requiredGhostLimitBytes).toBe(20_480);
  });

  test('the executable itself, replaced by an upgrade', async () => {
    const folder = makeFolder();
    copyFileSync('/bin/sh', `${folder}/program`);
    run('chmod', '755', `${folder}/program`);
    const { size } = statSync(`${folder}/program`);
    const held = await hold(`${folder}/program`, ['-c', 'echo READY; kill -STOP $$']);
    unlinkSync(`${folder}/program`);
    const scan = await scanner.scan(held.pid);
    expect(scan.files).toMatchObject([
      { path: `${folder}/program`, kind: 'Map', remap: 'Ghost', sizeBytes: size },
    ]);
    // Pages of 4096 bytes: the allocated bytes are the size rounded up.
    expect(scan.requiredGhostLimitBytes).toBe(Math.ceil(size / 4096) * 4096);
  });

  test('a removed working directory', async () => {
    const folder = makeFolder('disk');
    const scan = await scanPython(`
os.mkdir("${folder}/cwd"); os.chdir("${folder}/cwd"); os.rmdir("${folder}/cwd")
print(os.stat(".").st_blocks * 512, flush=True); ready()`);
    expect(scan.files).toMatchObject([{ path: `${folder}/cwd`, kind: 'Cwd', remap: 'Ghost', sizeBytes: 0 }]);
    expect(scan).toMatchObject(withoutRemarks);
  });

  test('on disk, as large as the fstat of its holder says', async () => {
    const folder = makeFolder('disk');
    const held = await holdWithPython(`
descriptor = write("${folder}/a", 1500000); os.fsync(descriptor); os.unlink("${folder}/a")
print(os.fstat(descriptor).st_blocks * 512, flush=True); ready()`);
    const scan = await scanner.scan(held.pid);
    expect(scan.files).toMatchObject([{ sizeBytes: 1_500_000, allocatedBytes: Number(held.output) }]);
    expect(scan.requiredGhostLimitBytes).toBe(Math.max(1_500_000, Number(held.output)));
  });

  test('sparse: CRIU before 3.18 compares the size', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
descriptor = write("${folder}/sparse", 0); os.ftruncate(descriptor, 52428800); os.unlink("${folder}/sparse"); ready()`);
    expect(scan.files).toMatchObject([{ sizeBytes: 50 * MIB, allocatedBytes: 0 }]);
    expect(scan.requiredGhostLimitBytes).toBe(50 * MIB);
  });

  test('allocated beyond its size: CRIU 3.18 and later compare the allocated bytes', async () => {
    const folder = makeFolder();
    writeFileSync(`${folder}/early`, '');
    run('fallocate', '--keep-size', '--length', '4194304', `${folder}/early`);
    const scan = await scanPython(`
descriptor = os.open("${folder}/early", os.O_RDWR); os.unlink("${folder}/early"); ready()`);
    expect(scan.files).toMatchObject([{ sizeBytes: 0, allocatedBytes: 4 * MIB }]);
    expect(scan.requiredGhostLimitBytes).toBe(4 * MIB);
  });

  test('names that hide: a newline, a backslash, bytes that are not UTF-8, a second mark', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
libc.mmap.restype = ctypes.c_void_p
for number, name in enumerate([b"a\\nb", b"a\\\\012b", b"\\xff\\xfe", "\\u00e9\\ufffd".encode(), b"x (deleted)"]):
    path = b"${folder}/" + name
    descriptor = write(path, 4096 * (number + 1))
    libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE, descriptor, 0)
    os.close(descriptor); os.unlink(path)
ready()`);
    const names = scan.files.map((file) => file.path.slice(folder.length + 1));
    expect(names).toEqual(['x (deleted)', '\u00e9\ufffd', '\udcff\udcfe', 'a\\012b', 'a\nb']);
  });

  test('held by a grandchild', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
receive, send = os.pipe()
def grandchild():
    write("${folder}/a", 40960); os.unlink("${folder}/a"); os.write(send, b"x")
fork_child(lambda: fork_child(grandchild)); os.read(receive, 1); ready()`);
    expect(scan.requiredGhostLimitBytes).toBe(40_960);
  });

  test('one among 2,000 descriptors', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
other = write("${folder}/kept", 1)
for number in range(2000): os.dup(other)
write("${folder}/a", 12288); os.unlink("${folder}/a"); ready()`);
    expect(scan.files).toMatchObject([{ path: `${folder}/a`, sizeBytes: 12_288, references: 1 }]);
  });
});

describe('not a ghost file', () => {
  test('memory of the kernel that looks deleted: memfd, shared anonymous, System V', async () => {
    const scan = await scanPython(`
descriptor = os.memfd_create("jit"); os.write(descriptor, b"m" * 3145728)
memory = mmap.mmap(descriptor, 4096)
shared = mmap.mmap(-1, 5242880)
segment = check(libc.shmget(0, 2097152, 0o1600), "shmget")
libc.shmat.restype = ctypes.c_void_p
libc.shmat(segment, None, 0); libc.shmctl(segment, 0, None); ready()`);
    expect(scan).toMatchObject({
      requiredGhostLimitBytes: 0,
      linkRemapRequired: false,
      files: [],
      ...withoutRemarks,
    });
  });

  test('an existing file whose name ends in the mark', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
descriptor = write("${folder}/x (deleted)", 2097152)
memory = mmap.mmap(descriptor, 4096); ready()`);
    expect(scan).toMatchObject({ files: [], ...withoutRemarks });
  });

  test('a file that still has another hard link needs link-remap and no limit', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
descriptor = write("${folder}/a", 2097152)
os.link("${folder}/a", "${folder}/other"); os.unlink("${folder}/a"); ready()`);
    expect(scan).toMatchObject({ requiredGhostLimitBytes: 0, linkRemapRequired: true, ...withoutRemarks });
    expect(scan.files).toMatchObject([{ path: `${folder}/a`, remap: 'LinkRemap', sizeBytes: 2 * MIB }]);
  });

  test('a terminal that is gone, and files of /proc of a process that is gone', async () => {
    const scan = await scanPython(`
master, slave = os.openpty(); os.close(master)
child = os.fork()
if child == 0: time.sleep(0.3); os._exit(0)
status = os.open("/proc/%d/status" % child, os.O_RDONLY); os.waitpid(child, 0); ready()`);
    expect(scan).toMatchObject({ files: [], ...withoutRemarks });
  });
});

describe('on an overlay', () => {
  const overlay = (folder: string): string =>
    `mkdir -p ${folder}/lower/sub ${folder}/upper ${folder}/work ${folder}/merged;` +
    ` mount -t overlay overlay -o lowerdir=${folder}/lower,upperdir=${folder}/upper,workdir=${folder}/work ${folder}/merged`;

  const prepareLower = (folder: string): void => {
    mkdirSync(`${folder}/lower/sub`, { recursive: true });
    run('dd', 'if=/dev/zero', `of=${folder}/lower/sub/image.so`, 'bs=4096', 'count=512', 'status=none');
  };

  test('a file of the image that was removed needs link-remap and then the limit', async () => {
    const folder = makeFolder('disk');
    prepareLower(folder);
    const held = await holdInMountNamespace(
      overlay(folder),
      `
descriptor = os.open("${folder}/merged/sub/image.so", os.O_RDONLY)
os.unlink("${folder}/merged/sub/image.so"); ready()`,
    );
    const scan = await scanner.scan(held.pid);
    expect(scan.files).toMatchObject([{ remap: 'LinkRemapThenGhost', sizeBytes: 2 * MIB }]);
    expect(scan).toMatchObject({ linkRemapRequired: true, ...withoutRemarks });
    expect(scan.requiredGhostLimitBytes).toBeGreaterThanOrEqual(2 * MIB);
  });

  test('also when its directory was removed and made anew', async () => {
    const folder = makeFolder('disk');
    prepareLower(folder);
    const held = await holdInMountNamespace(
      overlay(folder),
      `
descriptor = os.open("${folder}/merged/sub/image.so", os.O_RDONLY)
os.unlink("${folder}/merged/sub/image.so"); os.rmdir("${folder}/merged/sub"); os.mkdir("${folder}/merged/sub"); ready()`,
    );
    const scan = await scanner.scan(held.pid);
    expect(scan.files).toMatchObject([{ remap: 'LinkRemapThenGhost', sizeBytes: 2 * MIB }]);
  });

  test('a file of the container with another link needs link-remap only', async () => {
    const folder = makeFolder('disk');
    const held = await holdInMountNamespace(
      overlay(folder),
      `
write("${folder}/merged/a", 2097152)
os.link("${folder}/merged/a", "${folder}/merged/b"); os.unlink("${folder}/merged/a"); ready()`,
    );
    const scan = await scanner.scan(held.pid);
    expect(scan.files).toMatchObject([{ remap: 'LinkRemap', sizeBytes: 2 * MIB }]);
    expect(scan.requiredGhostLimitBytes).toBe(0);
  });

  test('a file of the container is a plain ghost', async () => {
    const folder = makeFolder('disk');
    const held = await holdInMountNamespace(
      overlay(folder),
      `
write("${folder}/merged/a", 2097152); os.unlink("${folder}/merged/a"); ready()`,
    );
    expect((await scanner.scan(held.pid)).files).toMatchObject([{ remap: 'Ghost', sizeBytes: 2 * MIB }]);
  });
});

describe('what fails whatever the limit is', () => {
  const codes = (scan: GhostScan): readonly string[] => scan.blockers.map((blocker) => blocker.code);

  test('a path that names another file now', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
descriptor = write("${folder}/a", 4096)
os.link("${folder}/a", "${folder}/b"); os.unlink("${folder}/a"); write("${folder}/a (deleted)", 1); ready()`);
    expect(codes(scan)).toEqual(['PathReused']);
  });

  test('a file hidden under a later mount', async () => {
    const folder = makeFolder();
    const held = await holdInMountNamespace(
      `mkdir ${folder}/under`,
      `
import subprocess
kept = write("${folder}/under/a", 4096)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "${folder}/under"], check=True); ready()`,
    );
    expect(codes(await scanner.scan(held.pid))).toEqual(['Overmounted']);
  });

  test('a deleted file on a mount that was lazily unmounted is no ghost', async () => {
    const folder = makeFolder();
    const held = await holdInMountNamespace(
      `mkdir ${folder}/lazy; mount -t tmpfs tmpfs ${folder}/lazy`,
      `
import subprocess
write("${folder}/lazy/f", 2097152); os.unlink("${folder}/lazy/f")
subprocess.run(["umount", "-l", "${folder}/lazy"], check=True); ready()`,
    );
    const scan = await scanner.scan(held.pid);
    expect(codes(scan)).toEqual(['MountNotFound']);
    expect(scan.requiredGhostLimitBytes).toBe(0);
  });

  test('a message queue', async () => {
    const scan = await scanPython(`
name = b"/ghostlimit-test-%d" % os.getpid()
check(libc.mq_open(name, os.O_RDWR | os.O_CREAT, 0o600, None), "mq_open"); libc.mq_unlink(name); ready()`);
    expect(codes(scan)).toEqual(['MountNotFound']);
    expect(scan.requiredGhostLimitBytes).toBe(0);
  });

  test('a first thread that ended while others go on', async () => {
    const scan = await scanPython(`
def later():
    while open("/proc/%d/stat" % os.getpid()).read().rsplit(")", 1)[1].split()[0] != "Z": time.sleep(0.01)
    ready()
threading.Thread(target=later).start(); libc.pthread_exit(None)`);
    expect(codes(scan)).toEqual(['TaskState']);
  });

  test('a namespace of its own for a child, a tracer', async () => {
    const nested = await scanPython(`
receive, send = os.pipe()
def apart():
    check(libc.unshare(0x08000000), "unshare(CLONE_NEWIPC)"); os.write(send, b"x")
fork_child(apart); os.read(receive, 1); ready()`);
    expect(codes(nested)).toEqual(['NestedNamespace']);
    const traced = await scanPython(`
child = fork_child(lambda: None)
check(libc.ptrace(16, child, None, None), "PTRACE_ATTACH"); os.waitpid(child, 0); ready()`);
    expect(codes(traced)).toEqual(['TaskState']);
  });

  test('code that is mapped shared before all other code', async () => {
    const scan = await scanPython(`
libc.mmap.restype = ctypes.c_void_p
MAP_FIXED_NOREPLACE = 0x100000
libc.mmap(ctypes.c_void_p(0x10000), 4096, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)
ready()`);
    expect(codes(scan)).toEqual(['ParasiteFailed']);
    expect(scan.files).toEqual([]);
  });
});

describe('what deserves a warning', () => {
  test('files of a thread with its own descriptors do not raise the limit', async () => {
    const folder = makeFolder();
    const scan = await scanPython(`
def apart():
    check(libc.unshare(0x400), "unshare(CLONE_FILES)")
    write("${folder}/lost", 2097152); os.unlink("${folder}/lost"); ready()
threading.Thread(target=apart).start(); time.sleep(1000)`);
    expect(scan.requiredGhostLimitBytes).toBe(0);
    expect(scan.warnings.map((warning) => warning.code)).toEqual(['ThreadFilesApart']);
    expect(scan.warnings[0]?.message).toContain(`1 deleted: ${folder}/lost`);
  });

  test('a file system that does not answer: all else is found, the hanging file is named', async () => {
    const folder = makeFolder();
    // Time enough for the rest of the scan, on a slow machine too.
    const impatient = startProcGhostScanner({ timeoutMs: 6000 });
    // A FUSE mount whose daemon, the process itself, never reads a request.
    const held = await holdInMountNamespace(
      `mkdir ${folder}/fuse`,
      `
device = os.open("/dev/fuse", os.O_RDWR)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % device
check(libc.mount(b"none", b"${folder}/fuse", b"fuse", 0, options), "mount fuse")
hanging = os.open("${folder}/fuse", os.O_PATH)
write("${folder}/a", 8192); os.unlink("${folder}/a"); ready()`,
    );
    const scan = await impatient.scan(held.pid);
    expect(scan.requiredGhostLimitBytes).toBe(8192);
    expect(scan.warnings.map((warning) => warning.code)).toEqual(['ScanTruncated']);
    expect(scan.warnings[0]?.message).toContain(`${folder}/fuse`);
    const healthy = await holdWithPython('ready()');
    expect((await impatient.scan(healthy.pid)).warnings).toEqual([]);
    impatient.close();
  });
});

describe('processes that come and go', () => {
  test('one that ends during the scan is no error of another kind', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, async (_, at) => {
        const held = await holdWithPython('[os.dup(1) for _ in range(500)]; ready()');
        const scan = scanner.scan(held.pid).then(
          () => 'scanned',
          (error: unknown) => (error instanceof ScanFailed ? error.code : String(error)),
        );
        setTimeout(() => void held.end(), at);
        return scan;
      }),
    );
    expect(outcomes.filter((outcome) => outcome !== 'scanned' && outcome !== 'ProcessNotFound')).toEqual([]);
  });

  test('a thread is no process', async () => {
    const held = await holdWithPython(`
def thread():
    print(threading.get_native_id(), flush=True); ready()
threading.Thread(target=thread).start(); time.sleep(1000)`);
    const error: unknown = await scanner.scan(Number(held.output)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ProcessNotFound' });
  });
});

describe('the child process', () => {
  test('ends after its idle time and comes back for the next scan', async () => {
    const brief = startProcGhostScanner({ idleMs: 5000 });
    const held = await holdWithPython('ready()');
    const listChildren = (): string[] =>
      spawnSync('ps', ['--ppid', String(process.pid), '-o', 'pid=,args='], { encoding: 'utf8' })
        .stdout.split('\n')
        .filter((line) => line.includes('scan-child.ts'))
        .map((line) => line.trim().split(' ')[0] ?? '');
    const before = listChildren();
    await brief.scan(held.pid);
    const [child = 'none', ...others] = listChildren().filter((pid) => !before.includes(pid));
    expect({ child, others }).toEqual({ child: expect.stringMatching(/^\d+$/), others: [] });
    const giveUpAt = Date.now() + 60_000;
    while (listChildren().includes(child) && Date.now() < giveUpAt) await sleep(50);
    expect(listChildren()).not.toContain(child);
    await expect(brief.scan(held.pid)).resolves.toMatchObject({ pid: held.pid });
    brief.close();
  });

  test('that cannot be started, or that dies, makes the scan fail with the reason', async () => {
    const { createChildGhostScanner } = await import('../../src/adapters/proc/child-ghost-scanner.ts');
    const { scanWorkerOf } = await import('../../src/adapters/process/scan-worker.ts');
    const { summarizeScan } = await import('../../src/domain/ghost/summarize-scan.ts');
    const broken = (command: [string, ...string[]]) =>
      createChildGhostScanner({ startWorker: scanWorkerOf(command), summarize: summarizeScan });
    await expect(broken(['/nonexistent/ghostlimit']).scan(1)).rejects.toMatchObject({
      code: 'ScannerFailed',
      message: expect.stringContaining('ENOENT') as unknown,
    });
    await expect(broken(['sh', '-c', 'echo no memory >&2; exit 3']).scan(1)).rejects.toMatchObject({
      code: 'ScannerFailed',
      message: expect.stringContaining('exit code 3: no memory') as unknown,
    });
  });

  test('does not keep the program alive, neither warm nor idle', () => {
    const program = `
      const { startProcGhostScanner } = await import(${JSON.stringify(new URL('./proc-ghost-scanner.ts', import.meta.url).href)});
      const scan = await startProcGhostScanner().scan(process.pid);
      console.log(scan.pid === process.pid);`;
    const result = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      timeout: 120_000,
    });
    expect(result.stdout).toBe('true\n');
    expect(result.status).toBe(0);
  });

  test('a scan that is aborted rejects at once and the next one is served', async () => {
    const held = await holdWithPython('ready()');
    const stop = new AbortController();
    const scan = scanner.scan(held.pid, stop.signal);
    setImmediate(() => {
      stop.abort();
    });
    const outcome = await scan.then(
      () => 'scanned',
      (error: unknown) => (error as ScanFailed).code,
    );
    expect(['scanned', 'ScanAborted']).toContain(outcome);
    await expect(scanner.scan(held.pid)).resolves.toMatchObject({ pid: held.pid });
  });
});
