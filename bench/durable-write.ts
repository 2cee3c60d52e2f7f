// A durable write of a CRIU file through our adapter against the same calls in C, in turns on the same directory. Goal: within 2x at p50.
// Usage: node bench/durable-write.ts [DIRECTORY]; prints one JSON line. Needs gcc.
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as posix from 'node:path/posix';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { nodeFileCalls } from '../src/adapters/host/file-calls.ts';
import { createPosixHostFiles } from '../src/adapters/host/posix-host-files.ts';
import { ChildProcessRunner } from '../src/adapters/process/child-process-runner.ts';
import type { HostFiles } from '../src/ports/host-files.ts';

const TURNS = 20;
const ROUNDS = 50;
const CP_ROUNDS = 60;
const PATH = '/etc/criu/node.conf';

export interface DurableWriteResult {
  readonly ours: Percentiles;
  readonly c: Percentiles;
  readonly ratioP50: number;
  readonly ratioP99: number;
  /** A write over a file that somebody else made: `cp` keeps its attributes. */
  readonly withCp: Percentiles;
}

interface Percentiles {
  readonly p50Us: number;
  readonly p99Us: number;
}

function percentiles(nanoseconds: readonly number[]): Percentiles {
  const sorted = [...nanoseconds].sort((a, b) => a - b);
  const at = (share: number): number => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) / 1000);
  return { p50Us: at(0.5), p99Us: at(0.99) };
}

async function timeWrites(files: HostFiles, path: string, rounds: number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const content = Buffer.alloc(300, '#');
    content.write((round % 10).toString());
    const start = process.hrtime.bigint();
    await files.replace(await files.read(path), content);
    times.push(Number(process.hrtime.bigint() - start));
  }
  return times;
}

/** `parent`: where to write; its file system is what is measured. */
export async function benchDurableWrite(parent: string): Promise<DurableWriteResult> {
  const root = fs.mkdtempSync(posix.join(parent, 'durable-write-'));
  try {
    fs.mkdirSync(posix.join(root, 'etc/criu'), { recursive: true });
    const program = posix.join(root, 'durable-write');
    const source = fileURLToPath(new URL('durable-write.c', import.meta.url));
    execFileSync('gcc', ['-O2', '-o', program, source]);
    const files = createPosixHostFiles({
      hostRoot: root,
      requireRootOwner: true,
      processes: new ChildProcessRunner(),
      // C does not look for other writers of the file either; that search costs what the host has open (docs/decisions/0006).
      calls: { ...nodeFileCalls, writersOf: () => Promise.resolve([]) },
    });

    const ours: number[] = [];
    const c: number[] = [];
    await timeWrites(files, PATH, ROUNDS);
    for (let turn = 0; turn < TURNS; turn += 1) {
      const lines = execFileSync(program, [root, ROUNDS.toString()]).toString().trim().split('\n');
      c.push(...lines.map(Number));
      ours.push(...(await timeWrites(files, PATH, ROUNDS)));
    }
    fs.writeFileSync(posix.join(root, '/etc/criu/theirs.conf'), '');
    const withCp = await timeWrites(files, '/etc/criu/theirs.conf', CP_ROUNDS);

    const [a, b] = [percentiles(ours), percentiles(c)];
    const ratio = (one: number, other: number): number => Math.round((one / other) * 100) / 100;
    return {
      ours: a,
      c: b,
      ratioP50: ratio(a.p50Us, b.p50Us),
      ratioP99: ratio(a.p99Us, b.p99Us),
      withCp: percentiles(withCp),
    };
  } finally {
    fs.rmSync(root, { recursive: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.stdout.write(`${JSON.stringify(await benchDurableWrite(process.argv[2] ?? os.tmpdir()))}\n`);
