// The program of the scanner's child process: reads one request a line, scans, writes the answer, until its input ends.
// Blocking calls only: there is nothing else for it to do.
import { readSync, writeSync } from 'node:fs';
import { ScanFailed } from '../../ports/ghost-scanner.ts';
import { scanProcessTree } from './proc-scan.ts';
import type { ScanReply, ScanRequest } from './scan-protocol.ts';

const STDIN = 0;
const STDOUT = 1;

/** Serves scans on stdin and stdout; returns at the end of the input or when nobody reads the answers. */
export function runScanChild(): void {
  let rest = '';
  const chunk = Buffer.alloc(4096);
  for (;;) {
    const count = readOrEnd(chunk);
    if (count === 0) return;
    const lines = (rest + chunk.toString('latin1', 0, count)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) answer(JSON.parse(line) as ScanRequest);
  }
}

function answer({ pid, procRoot }: ScanRequest): void {
  try {
    const tree = scanProcessTree(pid, {
      procRoot,
      onPartial: (partial) => {
        write({ kind: 'Partial', tree: partial });
      },
    });
    write({ kind: 'Done', tree });
  } catch (error) {
    const code = error instanceof ScanFailed ? error.code : 'ScannerFailed';
    write({ kind: 'Failed', code, message: error instanceof Error ? error.message : String(error) });
  }
}

function write(reply: ScanReply): void {
  const bytes = Buffer.from(`${JSON.stringify(reply)}\n`);
  for (let written = 0; written < bytes.length;) written += writeSync(STDOUT, bytes, written);
}

function readOrEnd(chunk: Buffer): number {
  try {
    return readSync(STDIN, chunk, 0, chunk.length, null);
  } catch (error) {
    // The other end was closed in the middle: the same as its end.
    if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') return 0;
    throw error;
  }
}
