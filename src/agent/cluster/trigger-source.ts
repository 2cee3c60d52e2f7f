// Pods that ask for a checkpoint by annotation: tells each token of each pod until the controller has heard it, and remembers on disk that it has. Never writes to a pod.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { NODE_TRIGGERS_MAX, type NodeTrigger, type PolicyProblem } from '../../api/checkpoint-node.ts';
import type { PodView } from '../../api/core-views.ts';
import { CHECKPOINT_ANNOTATION } from '../../api/names.ts';
import { printable } from '../../api/printable.ts';
import type { Reflector } from '../../machinery/reflector.ts';
import { sleep } from '../../machinery/sleep.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { OrderReports, OrderSource } from '../../ports/order-source.ts';
import type { StateStore } from '../../ports/state-store.ts';

export const TOKEN_MAX_LENGTH = 63;
const HASH_LENGTH = 32;
const DOCUMENT = 'heard-triggers.json';
/** Of one pod; older ones are forgotten, and would ask again if somebody wrote them again. */
const TOKENS_KEPT = 64;
const RETRY_MS = 10_000;

/** By pod UID: hashes of tokens that the controller has heard, oldest first. */
const HeardSchema = z.record(z.string(), z.array(z.string()));
type Heard = z.output<typeof HeardSchema>;

export interface TriggerParts {
  /** Of this node. */
  readonly pods: Reflector<PodView>;
  readonly source: OrderSource;
  readonly reports: Pick<OrderReports, 'tell'>;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Reports until `signal` aborts. Never rejects. */
export async function reportTriggers(parts: TriggerParts, signal: AbortSignal): Promise<void> {
  const { pods, source, clock, log } = parts;
  let isAsked = true;
  let wake = (): void => undefined;
  const ask = (): void => {
    isAsked = true;
    wake();
  };
  const end = pods.subscribe(ask);
  source.watch(ask, signal);
  signal.addEventListener('abort', ask);
  const memory: Memory = { heard: null };
  while (!signal.aborted) {
    isAsked = false;
    try {
      await pass(parts, memory);
    } catch (error) {
      log.error('triggers cannot be told, trying again', { error });
      await sleep(clock, RETRY_MS, signal);
      continue;
    }
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (isAsked) resolve();
    });
  }
  end();
}

interface Memory {
  /** null: not read yet. */
  heard: Heard | null;
}

async function pass(parts: TriggerParts, memory: Memory): Promise<void> {
  const { pods, source, reports, state } = parts;
  const spec = source.read();
  if (!pods.status().synced || spec === null) return;
  const known = memory.heard ?? (await readHeard(parts));
  const present = pods.store.values();
  const uids = new Set(present.map(({ metadata }) => metadata.uid));
  const heard = fold(known, spec.acknowledgedTriggers, uids);
  if (JSON.stringify(heard) !== JSON.stringify(known))
    await state.write(DOCUMENT, new TextEncoder().encode(`${JSON.stringify(heard)}\n`));
  memory.heard = heard;
  const asking = present.map(askingOf).filter((one) => one !== null);
  const isLong = ({ token }: { readonly token: string }): boolean => token.length > TOKEN_MAX_LENGTH;
  reports.tell({
    triggers: chooseTriggers(
      asking.filter((one) => !isLong(one)).map((one) => one.asking),
      heard,
    ),
    problems: asking.filter(isLong).map((one) => tooLong(one.asking.trigger, one.token.length)),
  });
}

async function readHeard({ state, log }: TriggerParts): Promise<Heard> {
  const content = await state.read(DOCUMENT);
  if (content === null) return {};
  const parsed = HeardSchema.safeParse(parseJson(new TextDecoder().decode(content)));
  // The controller knows its requests by pod and token: what is told again makes no second one while the first is there.
  if (!parsed.success) log.warn('memory of triggers is unreadable, they are told again', {});
  return parsed.success ? parsed.data : {};
}

/** Pure: what was heard before and is acknowledged now, of pods that are there. */
export function fold(
  known: Heard,
  acknowledged: readonly { readonly podUID: string; readonly tokenHash: string }[],
  present: ReadonlySet<string>,
): Heard {
  const heard = new Map(Object.entries(known).filter(([uid]) => present.has(uid)));
  for (const { podUID, tokenHash } of acknowledged) {
    const before = heard.get(podUID) ?? [];
    if (present.has(podUID) && !before.includes(tokenHash))
      heard.set(podUID, [...before, tokenHash].slice(-TOKENS_KEPT));
  }
  return Object.fromEntries([...heard].sort(([one], [other]) => (one < other ? -1 : 1)));
}

interface Asking {
  readonly trigger: NodeTrigger;
  /** RFC 3339, of the pod. */
  readonly createdAt: string;
}

function askingOf(pod: PodView): { readonly token: string; readonly asking: Asking } | null {
  const { name: podName, namespace, uid: podUID, creationTimestamp, annotations } = pod.metadata;
  const token = (annotations[CHECKPOINT_ANNOTATION] ?? '').trim();
  // Before anything runs there is nothing to take; the token is told when it does.
  if (token === '' || podUID === '' || pod.status.phase !== 'Running') return null;
  const trigger = { podUID, podName, namespace, tokenHash: hashOf(token) };
  return { token, asking: { trigger, createdAt: creationTimestamp ?? '' } };
}

function tooLong({ podName, namespace }: NodeTrigger, length: number): PolicyProblem {
  return {
    origin: printable(`pod ${namespace}/${podName}`, 512),
    reason: 'InvalidRequest',
    message: `the annotation ${CHECKPOINT_ANNOTATION} has ${length.toString()} characters and is ignored: at most ${TOKEN_MAX_LENGTH.toString()} are allowed`,
  };
}

/** Pure: those that were not heard yet, of the oldest pods, at most 64. */
export function chooseTriggers(asking: readonly Asking[], heard: Heard): NodeTrigger[] {
  return asking
    .filter(({ trigger }) => heard[trigger.podUID]?.includes(trigger.tokenHash) !== true)
    .sort(
      (one, other) =>
        compare(one.createdAt, other.createdAt) || compare(one.trigger.podUID, other.trigger.podUID),
    )
    .slice(0, NODE_TRIGGERS_MAX)
    .map(({ trigger }) => trigger);
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** The first 32 hexadecimal digits of SHA-256. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, HASH_LENGTH);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
