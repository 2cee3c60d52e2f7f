// Reads one WATCH: bytes to events. Always reads ahead of its consumer, as the API server ends a watch whose client is slow; never retries.
import type { Readable } from 'node:stream';
import { KubeApiError, KubeUnreachable } from '../../ports/kube-api.ts';
import type { WatchEvent } from '../../ports/kube-api.ts';
import { unreachable, watchError } from './api-error.ts';
import { asKubeObject, isRecord, parseJson } from './json.ts';
import { LineDecoder } from './line-decoder.ts';

export interface WatchLimits {
  /** Of one event. */
  readonly lineBytes: number;
  /** What may wait for the consumer, in characters. Beyond it the stream is held back, and other streams of the connection go on. */
  readonly aheadChars: number;
}

/** etcd takes objects of 1.5 MiB; as JSON with escapes they may be several times as long. */
const LIMITS: WatchLimits = { lineBytes: 16 * 1024 * 1024, aheadChars: 32 * 1024 * 1024 };

/**
 * The events of a watch's body, until the server ends it. Throws KubeApiError for an ERROR event, KubeUnreachable when the body breaks off or makes no sense, and the
 * reason of `signal` once that is aborted. Leaving the loop closes the body. `what` is "GET /path", for messages.
 */
export async function* watchEvents(
  body: Readable,
  signal: AbortSignal,
  what: string,
  limits = LIMITS,
): AsyncGenerator<WatchEvent, void, undefined> {
  const lines = new LinesAhead(body, limits);
  try {
    for (let line = await lines.next(); line !== null; line = await lines.next()) {
      signal.throwIfAborted();
      yield toWatchEvent(line, what);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof KubeApiError || error instanceof KubeUnreachable
      ? error
      : unreachable(what, error);
  } finally {
    body.destroy();
  }
}

function toWatchEvent(line: string, what: string): WatchEvent {
  const event = parseJson(line);
  if (!isRecord(event)) throw new KubeUnreachable(`${what}: an event is no JSON object`);
  const { type } = event;
  if (type === 'ERROR') throw watchError(what, event['object']);
  const object = asKubeObject(event['object']);
  if (object === null || !isEventType(type))
    throw new KubeUnreachable(`${what}: an event has no known type or no object`);
  return { type, object };
}

function isEventType(type: unknown): type is WatchEvent['type'] {
  return type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK';
}

/** The lines of a stream, read as they come and kept until they are asked for. */
class LinesAhead {
  readonly #body: Readable;
  readonly #decoder: LineDecoder;
  readonly #aheadChars: number;
  #lines: string[] = [];
  #taken = 0;
  #waitingChars = 0;
  #end: { readonly error: Error | null } | null = null;
  #wake: (() => void) | null = null;

  constructor(body: Readable, { lineBytes, aheadChars }: WatchLimits) {
    this.#body = body;
    this.#decoder = new LineDecoder(lineBytes);
    this.#aheadChars = aheadChars;
    body
      .on('data', (chunk: Buffer) => {
        this.#read(chunk);
      })
      .on('end', () => {
        const isCutOff = this.#decoder.isInsideLine;
        this.#finish(isCutOff ? new Error('the stream ended inside an event') : null);
      })
      .on('error', (error: Error) => {
        this.#finish(error);
      })
      .on('close', () => {
        this.#finish(new Error('the stream was closed'));
      });
  }

  /** null: the server has ended the stream. Rejects with why it broke, after all lines that came before. */
  async next(): Promise<string | null> {
    for (;;) {
      const line = this.#take();
      if (line !== null) return line;
      if (this.#end !== null) {
        if (this.#end.error !== null) throw this.#end.error;
        return null;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(): string | null {
    const line = this.#lines[this.#taken];
    if (line === undefined) return null;
    this.#taken += 1;
    if (this.#taken === this.#lines.length) {
      this.#lines = [];
      this.#taken = 0;
    }
    this.#waitingChars -= line.length;
    if (this.#body.isPaused() && this.#waitingChars < this.#aheadChars / 2) this.#body.resume();
    return line;
  }

  #read(chunk: Buffer): void {
    try {
      for (const line of this.#decoder.push(chunk)) {
        this.#lines.push(line);
        this.#waitingChars += line.length;
      }
    } catch (error) {
      this.#finish(error as Error);
      this.#body.destroy();
      return;
    }
    if (this.#waitingChars > this.#aheadChars) this.#body.pause();
    this.#signal();
  }

  #finish(error: Error | null): void {
    this.#end ??= { error };
    this.#signal();
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
