// `kubectl ghostlimit checkpoint POD`: creates a CheckpointRequest and, if asked to, waits for what comes of it. Takes no checkpoint itself, and never ends a request.
import type { KubeObject } from '../../api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../../api/kube-resources.ts';
import { GROUP, SYSTEM_NAMESPACE } from '../../api/names.ts';
import type { Clock } from '../../ports/clock.ts';
import type { KubeApi } from '../../ports/kube-api.ts';
import { exitCodeOfFailure } from '../checkpoint-exit-code.ts';
import { CommandFailure, EXIT, type ExitCode, type Output } from '../output.ts';
import { explainBlindness, explainRefusal, placed } from './explain-refusal.ts';
import { followRequest, type FollowEnd } from './follow-request.ts';
import { newRequest, type CheckpointWish } from './new-request.ts';
import { readRequestState, type RequestState } from './request-state.ts';
import { changesBetween, resultText, shown } from './request-text.ts';

/** "name": as kubectl's -o name. */
export const PLUGIN_FORMATS = ['table', 'json', 'name'] as const;
export type PluginFormat = (typeof PLUGIN_FORMATS)[number];

export interface ClusterCheckpointChoice extends CheckpointWish {
  readonly format: PluginFormat;
  /** null: come back at once. `timeoutMs` 0: for as long as it takes. */
  readonly wait: { readonly timeoutMs: number } | null;
  /** "kubectl", with the words that lead to the same cluster. */
  readonly kubectl: string;
}

export interface ClusterCheckpointParts {
  readonly kube: KubeApi;
  readonly clock: Clock;
  /** The user does not want to wait any longer. */
  readonly interrupted: AbortSignal;
  readonly output: Pick<Output, 'print' | 'printJson' | 'note'>;
}

/** A request is refused or queued within 2 s where a controller runs. */
const UNTAKEN_MS = 5000;

/** Exit code 1 for a request that failed, 124 when that was for lack of time (its own or a container's), or when the time of waiting is up. Throws CommandFailure where nothing comes of it. */
export async function clusterCheckpoint(
  choice: ClusterCheckpointChoice,
  parts: ClusterCheckpointParts,
): Promise<ExitCode> {
  const created = await create(choice, parts);
  const name = requestName(created);
  const { format, wait } = choice;
  if (format === 'name') parts.output.print(name);
  if (wait !== null) {
    if (format !== 'name') parts.output.note(`${name} created`);
    return await waitFor(created, wait.timeoutMs, choice, parts);
  }
  if (format === 'table') parts.output.print(`${name} created`);
  if (format === 'json') parts.output.printJson(withoutManagers(created));
  return EXIT.fine;
}

async function create(
  choice: ClusterCheckpointChoice,
  { kube, interrupted }: ClusterCheckpointParts,
): Promise<KubeObject> {
  const request = newRequest(choice);
  try {
    return await kube.create(CHECKPOINT_REQUESTS, request, interrupted);
  } catch (error) {
    if (interrupted.aborted)
      throw new CommandFailure(
        `interrupted before the API server had answered: the request may be there; see "${placed(choice)} get checkpointrequests"`,
      );
    throw explainRefusal(error, choice);
  }
}

async function waitFor(
  created: KubeObject,
  timeoutMs: number,
  choice: ClusterCheckpointChoice,
  parts: ClusterCheckpointParts,
): Promise<ExitCode> {
  const { kube, clock, interrupted } = parts;
  const watcher = createWatcher(created, choice, parts);
  const timeUp = new AbortController();
  const timers = [clock.after(UNTAKEN_MS, watcher.noteIfUntaken)];
  const stop = (): void => {
    timeUp.abort();
  };
  if (timeoutMs > 0) timers.push(clock.after(timeoutMs, stop));
  const signal = AbortSignal.any([interrupted, timeUp.signal]);
  try {
    const end = await followRequest(created, { kube, clock, signal, ...watcher });
    const why = interrupted.aborted ? 'no longer waiting' : `timed out after ${timeoutMs / 1000} s`;
    return tellEnd({ end, why, isTimeUp: !interrupted.aborted, ...watcher.last() }, choice, parts);
  } catch (error) {
    throw explainBlindness(error, requestName(created), choice);
  } finally {
    for (const cancel of timers) cancel();
  }
}

interface EndOfWaiting {
  readonly end: FollowEnd;
  /** Of "Stopped". */
  readonly why: string;
  readonly isTimeUp: boolean;
  /** As it was last. */
  readonly object: KubeObject;
  readonly state: RequestState;
}

function tellEnd(
  { end, why, isTimeUp, object, state }: EndOfWaiting,
  choice: ClusterCheckpointChoice,
  { output }: ClusterCheckpointParts,
): ExitCode {
  const name = requestName(object);
  if (choice.format === 'json') output.printJson(withoutManagers(object));
  switch (end) {
    case 'Finished':
      if (choice.format === 'table') output.print(resultText(state));
      return exitCodeOf(state);
    case 'Deleted':
      output.note(
        `ghostlimit: ${name} was deleted before it was finished (${shown(state.summary)}): what came of it is not known`,
      );
      return EXIT.failed;
    case 'Stopped': {
      const next = `follow it with "${placed(choice)} get ${name} --watch", or call it off with "${placed(choice)} delete ${name}"`;
      output.note(`ghostlimit: ${why}: ${name} goes on (${shown(state.summary)}): ${next}`);
      return isTimeUp ? EXIT.timedOut : EXIT.failed;
    }
  }
}

function exitCodeOf({ outcome, containers }: RequestState): ExitCode {
  if (outcome?.type === 'Complete') return EXIT.fine;
  const failures = containers.filter(({ result }) => result !== 'Succeeded');
  return exitCodeOfFailure([outcome?.reason, ...failures.map(({ reason }) => reason)]);
}

interface Watcher {
  readonly onState: (object: KubeObject) => void;
  readonly onTrouble: (error: Error) => void;
  readonly noteIfUntaken: () => void;
  readonly last: () => { readonly object: KubeObject; readonly state: RequestState };
}

/** Tells each change once and remembers the last state. */
function createWatcher(
  created: KubeObject,
  { kubectl }: ClusterCheckpointChoice,
  { output }: ClusterCheckpointParts,
): Watcher {
  let object = created;
  let state: RequestState | null = null;
  let isSeen = true;
  return {
    onState: (next) => {
      isSeen = true;
      const nextState = readRequestState(next);
      for (const line of changesBetween(state, nextState)) output.note(line);
      object = next;
      state = nextState;
    },
    onTrouble: (error) => {
      isSeen = false;
      output.note(`the request cannot be seen (${shown(error.message)}): still trying; it goes on`);
    },
    noteIfUntaken: () => {
      if (!isSeen || readRequestState(object).isTakenUp) return;
      output.note(
        `nobody has taken the request up for ${UNTAKEN_MS / 1000} s: see whether the controller runs with "${kubectl} get pods -n ${SYSTEM_NAMESPACE}"`,
      );
    },
    last: () => ({ object, state: state ?? readRequestState(object) }),
  };
}

/** As kubectl writes it: kind.group/name. */
function requestName({ metadata }: KubeObject): string {
  return `${CHECKPOINT_REQUESTS.kind.toLowerCase()}.${GROUP}/${metadata.name}`;
}

/** As kubectl prints objects: who owns which field is left out. */
function withoutManagers(object: KubeObject): Readonly<Record<string, unknown>> {
  const metadata = Object.entries(object.metadata).filter(([field]) => field !== 'managedFields');
  return { ...object, metadata: Object.fromEntries(metadata) };
}
