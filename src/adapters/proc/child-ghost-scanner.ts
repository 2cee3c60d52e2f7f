// The GhostScanner that looks at /proc in a child process, so that a file system that does not answer stops the child and
// not this program. Owns the child's life: started when needed, kept warm for a while, killed after a deadline.
import type { GhostScan } from '../../api/ghost-scan.ts';
import type { TreeObservation } from '../../api/process-tree.ts';
import { ScanFailed, type GhostScanner } from '../../ports/ghost-scanner.ts';
import type { ScanWorker, StartScanWorker } from '../../ports/scan-worker.ts';
import type { ScanReply, ScanRequest } from './scan-protocol.ts';

export interface ChildGhostScannerOptions {
  readonly startWorker: StartScanWorker;
  /** Judges what was seen: domain/ghost/summarize-scan.ts. */
  readonly summarize: (tree: TreeObservation) => GhostScan;
  /** Default /proc. */
  readonly procRoot?: string;
  /** Time for one scan; default 10 s. */
  readonly timeoutMs?: number;
  /** How long the child is kept without a scan; default 30 s. */
  readonly idleMs?: number;
}

export interface ChildGhostScanner extends GhostScanner {
  /** Ends the child; scans under way and later ones reject with ScanAborted. */
  close(): void;
}

/** Killed children that the kernel has not let go yet; more would only pile up behind the same dead server. */
const MAX_STUCK_CHILDREN = 4;

/** Scans run one after the other. Nothing is started before the first one. */
export function createChildGhostScanner(options: ChildGhostScannerOptions): ChildGhostScanner {
  return new QueueingScanner(options);
}

class QueueingScanner implements ChildGhostScanner {
  readonly #options: Required<ChildGhostScannerOptions>;
  #last: Promise<unknown> = Promise.resolve();
  #warm: WarmChild | undefined;
  #stuckChildren = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  readonly #closed = new AbortController();

  constructor(options: ChildGhostScannerOptions) {
    this.#options = { procRoot: '/proc', timeoutMs: 10_000, idleMs: 30_000, ...options };
  }

  scan(pid: number, signal?: AbortSignal): Promise<GhostScan> {
    const stop = AbortSignal.any([this.#closed.signal, ...(signal ? [signal] : [])]);
    const turn = this.#last.then(() => this.#scanNow(pid, stop));
    this.#last = turn.catch(() => undefined);
    return untilAbort(turn, stop);
  }

  prepare(): void {
    if (this.#closed.signal.aborted) return;
    clearTimeout(this.#idleTimer);
    this.#takeChild();
    this.#keepWarm();
  }

  close(): void {
    this.#closed.abort();
    this.#retire();
  }

  async #scanNow(pid: number, stop: AbortSignal): Promise<GhostScan> {
    if (stop.aborted) throw aborted();
    if (!Number.isSafeInteger(pid) || pid < 1) throw new ScanFailed('ProcessNotFound', `${pid} is no pid`);
    clearTimeout(this.#idleTimer);
    const child = this.#takeChild();
    const { procRoot, timeoutMs, summarize } = this.#options;
    try {
      return summarize(await child.ask({ pid, procRoot }, timeoutMs, stop));
    } finally {
      if (child.isUsable) this.#keepWarm();
      else this.#warm = undefined;
    }
  }

  #takeChild(): WarmChild {
    if (this.#warm?.isUsable === true) return this.#warm;
    if (this.#stuckChildren >= MAX_STUCK_CHILDREN) {
      const message = `${this.#stuckChildren} scans are stuck in the kernel on file systems that do not answer`;
      throw new ScanFailed('ScannerFailed', message);
    }
    this.#stuckChildren++;
    this.#warm = new WarmChild(this.#options.startWorker, () => this.#stuckChildren--);
    return this.#warm;
  }

  #keepWarm(): void {
    this.#idleTimer = setTimeout(() => {
      this.#retire();
    }, this.#options.idleMs);
    this.#idleTimer.unref();
  }

  #retire(): void {
    clearTimeout(this.#idleTimer);
    this.#warm?.end();
    this.#warm = undefined;
  }
}

interface Waiting {
  readonly onReply: (reply: ScanReply) => void;
  readonly onFailure: (failure: ScanFailed) => void;
}

/** One child, one question at a time. After a failure it is not used again. */
class WarmChild {
  isUsable = true;
  readonly #worker: ScanWorker;
  #waiting: Waiting | undefined;

  constructor(startWorker: StartScanWorker, onGone: () => void) {
    this.#worker = startWorker({
      onLine: (line) => this.#waiting?.onReply(JSON.parse(line) as ScanReply),
      onExit: (detail) => {
        this.isUsable = false;
        onGone();
        this.#waiting?.onFailure(
          new ScanFailed('ScannerFailed', `the scanner's child process ended: ${detail}`),
        );
      },
    });
  }

  /** Resolves with the whole tree, or at the deadline with what was seen until then. */
  async ask(request: ScanRequest, timeoutMs: number, stop: AbortSignal): Promise<TreeObservation> {
    const { promise, resolve, reject } = Promise.withResolvers<TreeObservation>();
    let partial: TreeObservation | undefined;
    this.#waiting = {
      onReply: (reply) => {
        if (reply.kind === 'Failed') reject(new ScanFailed(reply.code, reply.message));
        else if (reply.kind === 'Done') resolve(reply.tree);
        else partial = reply.tree;
      },
      onFailure: reject,
    };
    const giveUp = (): void => {
      this.#kill();
      if (partial) resolve(partial);
      else
        reject(
          new ScanFailed('ScanTimedOut', `process ${request.pid} could not be scanned in ${timeoutMs} ms`),
        );
    };
    const onAbort = (): void => {
      this.#kill();
      reject(aborted());
    };
    // This timer is what keeps the program alive during a scan: the child does not.
    const deadline = setTimeout(giveUp, timeoutMs);
    stop.addEventListener('abort', onAbort);
    this.#worker.send(JSON.stringify(request));
    try {
      return await promise;
    } finally {
      clearTimeout(deadline);
      stop.removeEventListener('abort', onAbort);
      this.#waiting = undefined;
    }
  }

  end(): void {
    this.isUsable = false;
    this.#worker.end();
  }

  #kill(): void {
    this.isUsable = false;
    this.#worker.kill();
  }
}

/** The same as `turn`, but a caller who aborts does not wait for the scans before its own. */
function untilAbort(turn: Promise<GhostScan>, stop: AbortSignal): Promise<GhostScan> {
  const { promise, resolve, reject } = Promise.withResolvers<GhostScan>();
  const onAbort = (): void => {
    reject(aborted());
  };
  stop.addEventListener('abort', onAbort);
  if (stop.aborted) onAbort();
  turn.then(resolve, reject).finally(() => {
    stop.removeEventListener('abort', onAbort);
  });
  return promise;
}

function aborted(): ScanFailed {
  return new ScanFailed('ScanAborted', 'the scan was aborted');
}
