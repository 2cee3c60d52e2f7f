// A port of this machine's loopback that leads into a lab's network: what lets programs outside call its API server.
// A child in that network carries the bytes; it opens none of them.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { ended } from '../lab/program.ts';

const CHILD = join(import.meta.dirname, 'api-relay-child.ts');

export interface ApiRelay {
  /** On 127.0.0.1. */
  port: number;
  stop: () => Promise<void>;
}

/**
 * Opens a free port that leads to `target` ("HOST:PORT") in the network namespace of the process `pid`. Connections
 * are refused in the way of a reset while nothing listens there. The caller's death ends it.
 */
export async function startApiRelay(pid: number, target: string): Promise<ApiRelay> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const argv = [
    ...[`--net=/proc/${pid}/ns/net`, 'setpriv', '--pdeathsig', 'KILL'],
    ...[process.execPath, '--disable-warning=ExperimentalWarning', CHILD, target],
  ];
  const child = spawn('nsenter', argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    await handOver(child, server);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    server.close();
  }
  return {
    port,
    stop: async () => {
      child.kill('SIGKILL');
      await ended(child);
    },
  };
}

/** The listening socket stays in the network where it was made, whoever accepts. */
function handOver(child: ChildProcess, server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      reject(new Error(`the relay to the lab's network ended with ${String(code)}`));
    });
    child.on('message', () => {
      resolve();
    });
    child.send('server', server, {}, (error) => {
      if (error) reject(error);
    });
  });
}
