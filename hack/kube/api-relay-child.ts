// The child of api-relay.ts: runs in a lab's network, accepts on a socket of the machine's, and carries bytes.
import { connect } from 'node:net';
import type { Server, Socket } from 'node:net';

const [host = '', port = ''] = (process.argv[2] ?? '').split(':');

function carry(from: Socket): void {
  const to = connect({ host, port: Number(port), allowHalfOpen: true });
  for (const [one, other] of [
    [from, to],
    [to, from],
  ] as const) {
    one.setNoDelay(true);
    one.pipe(other);
    // A peer that was killed resets its connection: so does the other end.
    one.on('error', () => other.resetAndDestroy());
    one.on('close', () => other.destroy());
  }
}

process.on('message', (_message, server) => {
  (server as Server).on('connection', carry);
  process.send?.('ready');
});
process.on('disconnect', () => {
  process.exit();
});
