// Follows one CheckpointRequest until it is finished or gone: a watch of that object alone, and a list whenever the watch is lost. Writes nothing.
import type { KubeObject } from '../../api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../../api/kube-resources.ts';
import type { Clock } from '../../ports/clock.ts';
import { KubeApiError, KubeUnreachable, type KubeApi, type KubeSelection } from '../../ports/kube-api.ts';
import { readRequestState } from './request-state.ts';

export interface FollowParts {
  readonly kube: KubeApi;
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Each state that was seen, the first one too; never after the end. */
  readonly onState: (object: KubeObject) => void;
  /** Once for each time that the server stops answering. It is asked again. */
  readonly onTrouble: (error: Error) => void;
}

/** "Stopped": by the signal. */
export type FollowEnd = 'Finished' | 'Deleted' | 'Stopped';

const WATCH_SECONDS = 300;
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 5000;
const LONGEST_WISHED_PAUSE_MS = 30_000;
const REFUSAL_PATIENCE_MS = 30_000;
/** A watch that lived so long has done its duty: the next one comes without waiting longer than the first time. */
const WORTHWHILE_MS = 10_000;

/**
 * `created` is the object as the server gave it. Rejects with KubeApiError where asking again does not help (no right to look, kind gone):
 * at once when the first look is refused, else when that has lasted for REFUSAL_PATIENCE_MS.
 */
export async function followRequest(created: KubeObject, parts: FollowParts): Promise<FollowEnd> {
  const { clock, signal } = parts;
  const follow = new Following(created, parts);
  const patience = createPatience(parts);
  let failures = 0;
  while (!signal.aborted) {
    const startedAtMs = clock.monotonicMs();
    const { end, trouble } = await attempt(follow, signal);
    if (end !== null) return end;
    if (clock.monotonicMs() - startedAtMs >= WORTHWHILE_MS) failures = 0;
    patience.judge(trouble);
    const wishedMs = Math.min(retryAfterMs(trouble), LONGEST_WISHED_PAUSE_MS);
    await pause(clock, Math.max(wishedMs, Math.min(FIRST_PAUSE_MS * 2 ** failures, LAST_PAUSE_MS)), signal);
    failures += 1;
  }
  return 'Stopped';
}

type Trouble = KubeUnreachable | KubeApiError;

interface Attempt {
  /** null: not at the end of the request yet. */
  readonly end: FollowEnd | null;
  /** null: the server ended the watch in good order, or does not remember so far back. */
  readonly trouble: Trouble | null;
}

async function attempt(follow: Following, signal: AbortSignal): Promise<Attempt> {
  try {
    return { end: await follow.once(), trouble: null };
  } catch (error) {
    if (signal.aborted) return { end: 'Stopped', trouble: null };
    if (error instanceof KubeApiError) return { end: null, trouble: error.status === 410 ? null : error };
    if (error instanceof KubeUnreachable) return { end: null, trouble: error };
    throw error;
  }
}

interface Patience {
  /** After each attempt. Tells new trouble once; throws what does not pass. */
  readonly judge: (trouble: Trouble | null) => void;
}

function createPatience({ clock, onTrouble }: FollowParts): Patience {
  let isFirst = true;
  let inTrouble = false;
  let refusedSinceMs: number | null = null;
  return {
    judge: (trouble) => {
      refusedSinceMs = isRefusal(trouble) ? (refusedSinceMs ?? clock.monotonicMs()) : null;
      // A server that has just started knows neither its roles nor its kinds, and may answer 403 and 404 for it.
      const patienceMs = isFirst ? 0 : REFUSAL_PATIENCE_MS;
      if (trouble !== null && refusedSinceMs !== null && clock.monotonicMs() - refusedSinceMs >= patienceMs)
        throw trouble;
      if (trouble !== null && !inTrouble) onTrouble(trouble);
      inTrouble = trouble !== null;
      isFirst = false;
    },
  };
}

class Following {
  readonly #created: KubeObject;
  readonly #parts: FollowParts;
  readonly #selection: KubeSelection;
  /** Where a watch goes on from; null: list first. */
  #revision: string | null;
  #isFirst = true;

  constructor(created: KubeObject, parts: FollowParts) {
    const { name, namespace, resourceVersion } = created.metadata;
    this.#created = created;
    this.#parts = parts;
    this.#selection = {
      fieldSelector: `metadata.name=${name}`,
      ...(namespace !== undefined && { namespace }),
    };
    this.#revision = resourceVersion ?? null;
  }

  /** One list, if need be, and one watch to its end; null: not at the end of the request yet. */
  async once(): Promise<FollowEnd | null> {
    const { kube, signal } = this.#parts;
    if (this.#isFirst && this.#tell(this.#created)) return 'Finished';
    this.#isFirst = false;
    const { revision, end } =
      this.#revision === null ? await this.#look() : { revision: this.#revision, end: null };
    if (end !== null) return end;
    // Whatever becomes of the watch: what it missed only a list can tell.
    this.#revision = null;
    const options = { ...this.#selection, resourceVersion: revision, timeoutSeconds: WATCH_SECONDS, signal };
    for await (const { type, object } of kube.watch(CHECKPOINT_REQUESTS, options)) {
      if (type === 'BOOKMARK' || !this.#isOurs(object)) continue;
      if (this.#tell(object)) return 'Finished';
      if (type === 'DELETED') return 'Deleted';
    }
    return null;
  }

  async #look(): Promise<{ readonly revision: string; readonly end: FollowEnd | null }> {
    const { kube, signal } = this.#parts;
    const { items, resourceVersion } = await kube.list(CHECKPOINT_REQUESTS, { ...this.#selection, signal });
    const ours = items.find((object) => this.#isOurs(object));
    if (ours === undefined) return { revision: resourceVersion, end: 'Deleted' };
    return { revision: resourceVersion, end: this.#tell(ours) ? 'Finished' : null };
  }

  /** Whether it is finished. */
  #tell(object: KubeObject): boolean {
    this.#parts.onState(object);
    return readRequestState(object).outcome !== null;
  }

  #isOurs({ metadata }: KubeObject): boolean {
    return metadata.name === this.#created.metadata.name && metadata.uid === this.#created.metadata.uid;
  }
}

/** Neither busy nor broken: the server does not want to. */
function isRefusal(trouble: Trouble | null): boolean {
  if (!(trouble instanceof KubeApiError)) return false;
  return trouble.status < 500 && trouble.status !== 408 && trouble.status !== 429;
}

function retryAfterMs(trouble: Trouble | null): number {
  return trouble instanceof KubeApiError ? (trouble.retryAfterMs ?? 0) : 0;
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
