// Many bare watches of the plans in one process, each on an HTTP/2 connection of its own: no parsing but for the beginning of an event.
import { connect, type ClientHttp2Session } from 'node:http2';
import { inTurns, machineMs, serve } from './kube-worker.ts';

export interface WatcherPlan {
  readonly count: number;
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  readonly path: string;
}

export interface WatchersState {
  readonly open: number;
  /** Watches and connections that ended, which none should. */
  readonly lost: number;
  readonly bytes: number;
  /** When each watch had its last event that is no bookmark, since `forget`. */
  readonly deliveredMs: readonly number[];
}

const OPENING_AT_ONCE = 16;
const CHANGE = '{"type":"MODIFIED"';

const sessions: ClientHttp2Session[] = [];
const deliveredMs: number[] = [];
let open = 0;
let lost = 0;
let bytes = 0;

serve({
  start: async ({ count, ...target }: WatcherPlan) => {
    const numbers = Array.from({ length: count }, (_, index) => index);
    await inTurns(numbers, OPENING_AT_ONCE, () => openOne(target));
  },
  forget: () => {
    deliveredMs.length = 0;
    bytes = 0;
  },
  state: (): WatchersState => ({ open, lost, bytes, deliveredMs }),
});

function openOne({ url, ca, token, path }: Omit<WatcherPlan, 'count'>): Promise<void> {
  return new Promise((resolve, reject) => {
    const session = connect(url, { ca });
    sessions.push(session);
    session.on('error', reject);
    session.on('close', () => {
      lost += 1;
    });
    const stream = session.request({ ':path': path, authorization: `Bearer ${token}` });
    stream.on('error', reject);
    stream.on('response', ({ ':status': status }) => {
      if (status !== 200) reject(new Error(`the watch was answered with ${String(status)}`));
      open += 1;
      resolve();
    });
    let line = '';
    stream.setEncoding('latin1');
    stream.on('data', (text: string) => {
      bytes += text.length;
      const parts = (line + text).split('\n');
      line = parts.pop() ?? '';
      for (const part of parts) if (part.startsWith(CHANGE)) deliveredMs.push(machineMs());
    });
  });
}
