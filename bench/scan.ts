// Scan of a process with many descriptors against lsof and find in the same run: ratios, not promises. As root:
// node bench/scan.ts [DESCRIPTORS]
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { endAll, holdWithPython, makeFolder } from '../test/contract/held-process.ts';
import { startProcGhostScanner } from '../test/contract/proc-ghost-scanner.ts';

const ROUNDS = 7;
const descriptors = Number(process.argv[2] ?? 20_000);

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function timeOf(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function measure(kind: string, open: string): Promise<void> {
  const folder = makeFolder();
  const held = await holdWithPython(`
import resource, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (${descriptors + 100}, ${descriptors + 100}))
kept = []
path = "${folder}/kept"; write(path, 1); os.unlink(path); write(path, 1)
for number in range(${descriptors}): kept.append(${open})
ready()`);
  const scanner = startProcGhostScanner({ timeoutMs: 60_000 });
  const cold = await timeOf(() => scanner.scan(held.pid));
  const rivals: readonly [string, () => unknown][] = [
    ['scan', () => scanner.scan(held.pid)],
    ['find -lname', () => spawnSync('find', [`/proc/${held.pid}/fd`, '-lname', '*(deleted)'])],
    ['lsof +L1', () => spawnSync('lsof', ['-n', '-P', '-a', '+L1', '-p', String(held.pid)])],
  ];
  const times = new Map<string, number[]>(rivals.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, work] of rivals) times.get(name)?.push(await timeOf(work));
  }
  const own = median(times.get('scan') ?? []);
  console.log(
    `${descriptors} descriptors: ${kind}; first scan with start of the child ${cold.toFixed(1)} ms`,
  );
  for (const [name, values] of times) {
    const time = median(values);
    console.log(
      `  ${name.padEnd(12)} ${time.toFixed(1)} ms, ${((time * 1000) / descriptors).toFixed(2)} us each, ${(time / own).toFixed(2)} x scan`,
    );
  }
  scanner.close();
  await held.end();
}

await measure('sockets', 'socket.socket(socket.AF_UNIX)');
await measure('files', 'os.open(path, os.O_RDONLY)');
await endAll();
