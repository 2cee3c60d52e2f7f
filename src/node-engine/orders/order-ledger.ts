// The ledger of orders: what was started and what came of it, one document of the state folder for each request, durable before the next step. Never forgets an open call.
import { z } from 'zod';
import type { NodeOrder, OrderReport } from '../../api/checkpoint-node.ts';
import { ContainerResultSchema, type ContainerResult } from '../../api/checkpoint-request.ts';
import type { Log } from '../../ports/log.ts';
import type { StateStore } from '../../ports/state-store.ts';

/** Finished requests that are remembered after their order has gone. */
export const FINISHED_KEPT = 1_000;

const OpenCallSchema = z.object({
  name: z.string(),
  containerId: z.string(),
  /** From 1. */
  attempt: z.int().min(1),
  checkpointName: z.string(),
  archiveDirectory: z.string(),
  /** RFC 3339. */
  calledAt: z.string(),
});
/** A call of the runtime of which nobody has noted yet how it ended. */
export type OpenCall = z.output<typeof OpenCallSchema>;

const LedgerEntrySchema = z.object({
  requestUID: z.string(),
  requestNamespace: z.string(),
  requestName: z.string(),
  podUID: z.string(),
  podName: z.string(),
  policyName: z.string().nullable(),
  /** For one container. */
  timeoutSeconds: z.number(),
  state: z.enum(['Started', 'Finished']),
  /** RFC 3339; null: it was never started. */
  startTime: z.string().nullable(),
  /** RFC 3339; null: it is not finished. */
  completionTime: z.string().nullable(),
  /** All containers of the order, in the order of work. */
  containerNames: z.array(z.string()),
  containers: z.array(ContainerResultSchema),
  open: OpenCallSchema.nullable(),
  /** Calls that no archive is known of: what they left on the disk is looked after once the order is finished. */
  remains: z.array(OpenCallSchema).default([]),
  /** The request was deleted meanwhile. */
  disowned: z.boolean().default(false),
});
export type LedgerEntry = z.output<typeof LedgerEntrySchema>;

export interface OrderLedger {
  /** True: the request was started or finished here, and must not be run again. */
  has(requestUID: string): boolean;
  /** Entries that are not finished. */
  unfinished(): readonly LedgerEntry[];
  /** Finished ones of which something may be left on the disk. */
  withRemains(): readonly LedgerEntry[];
  read(requestUID: string): Promise<LedgerEntry | null>;
  /** Durable when it resolves; when it rejects the entry is, for this process, as it was. */
  write(entry: LedgerEntry): Promise<void>;
  /** Forgets the oldest finished requests whose order does not stand any more and of which nothing is left, but for the last 1,000. */
  prune(standing: ReadonlySet<string>): Promise<void>;
}

const PREFIX = 'order-';
const REQUEST_UID = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** UIDs of the API server are such; anything else is no name of a document. */
export function isRequestUID(text: string): boolean {
  return REQUEST_UID.test(text);
}

/** Reads what earlier processes left. Rejects when the state folder cannot be read. */
export async function openOrderLedger(state: StateStore, log: Log): Promise<OrderLedger> {
  const ledger = new DocumentLedger(state, log);
  await ledger.load();
  return ledger;
}

class DocumentLedger implements OrderLedger {
  readonly #state: StateStore;
  readonly #log: Log;
  /** When each finished; null: not yet. */
  readonly #known = new Map<string, string | null>();
  readonly #unfinished = new Map<string, LedgerEntry>();
  readonly #withRemains = new Map<string, LedgerEntry>();

  constructor(state: StateStore, log: Log) {
    this.#state = state;
    this.#log = log;
  }

  async load(): Promise<void> {
    for (const name of await this.#state.list(PREFIX)) {
      const requestUID = name.slice(PREFIX.length).replace(/\.json$/, '');
      const entry = await this.read(requestUID);
      if (entry !== null) this.#note(entry);
    }
  }

  has(requestUID: string): boolean {
    return this.#known.has(requestUID);
  }

  unfinished(): readonly LedgerEntry[] {
    return [...this.#unfinished.values()];
  }

  withRemains(): readonly LedgerEntry[] {
    return [...this.#withRemains.values()];
  }

  async read(requestUID: string): Promise<LedgerEntry | null> {
    const open = this.#unfinished.get(requestUID);
    if (open !== undefined) return open;
    const content = await this.#state.read(documentOf(requestUID));
    if (content === null) return null;
    const parsed = LedgerEntrySchema.safeParse(parseJson(new TextDecoder().decode(content)));
    if (parsed.success && parsed.data.requestUID === requestUID) return parsed.data;
    this.#log.warn('entry of the order ledger is unreadable, its outcome counts as unknown', { requestUID });
    return unreadable(requestUID);
  }

  async write(entry: LedgerEntry): Promise<void> {
    const content = new TextEncoder().encode(`${JSON.stringify(entry)}\n`);
    await this.#state.write(documentOf(entry.requestUID), content);
    this.#note(entry);
  }

  async prune(standing: ReadonlySet<string>): Promise<void> {
    if (this.#known.size <= FINISHED_KEPT) return;
    const past = [...this.#known]
      .flatMap(([requestUID, at]) =>
        at === null || standing.has(requestUID) || this.#withRemains.has(requestUID)
          ? []
          : [{ requestUID, at }],
      )
      .sort((one, other) => (one.at < other.at ? -1 : 1));
    for (const { requestUID } of past.slice(0, Math.max(0, past.length - FINISHED_KEPT))) {
      await this.#state.remove(documentOf(requestUID));
      this.#known.delete(requestUID);
    }
  }

  #note(entry: LedgerEntry): void {
    const { requestUID, state, completionTime } = entry;
    this.#known.set(requestUID, state === 'Finished' ? (completionTime ?? '') : null);
    if (state === 'Finished') this.#unfinished.delete(requestUID);
    else this.#unfinished.set(requestUID, entry);
    if (state === 'Finished' && entry.remains.length > 0) this.#withRemains.set(requestUID, entry);
    else this.#withRemains.delete(requestUID);
  }
}

/** Nothing of the order has been done yet. `names`: all its containers. */
export function startedEntry(order: NodeOrder, names: readonly string[], at: string): LedgerEntry {
  return { ...blankEntry(order), startTime: at, containerNames: [...names] };
}

/** The order is through without a start. */
export function refusedEntry(
  order: NodeOrder,
  containers: readonly ContainerResult[],
  at: string,
): LedgerEntry {
  const done = { state: 'Finished' as const, completionTime: at, containers: [...containers] };
  return { ...blankEntry(order), ...done, containerNames: containers.map(({ name }) => name) };
}

function blankEntry(order: NodeOrder): LedgerEntry {
  return {
    requestUID: order.requestUID,
    requestNamespace: order.requestNamespace,
    requestName: order.requestName,
    podUID: order.podUID,
    podName: order.podName,
    policyName: order.policyName ?? null,
    timeoutSeconds: order.timeoutSeconds,
    state: 'Started',
    startTime: null,
    completionTime: null,
    containerNames: [],
    containers: [],
    open: null,
    remains: [],
    disowned: false,
  };
}

/** What the node says of the order. */
export function orderReport(entry: LedgerEntry): OrderReport {
  const { requestUID, state, startTime, completionTime, containers } = entry;
  return {
    requestUID,
    state: state === 'Started' ? 'Running' : 'Finished',
    ...(startTime !== null && { startTime }),
    ...(completionTime !== null && { completionTime }),
    containers,
  };
}

function unreadable(requestUID: string): LedgerEntry {
  const containers: ContainerResult[] = [
    {
      name: ALL_CONTAINERS,
      result: 'Unknown',
      reason: 'OutcomeUnknown',
      message: 'what the node had noted about this request cannot be read any more',
      hint: 'Look for the archive on the node; ask again if there is none.',
      attempts: 0,
    },
  ];
  const order = { requestUID, requestNamespace: '', requestName: '', podUID: '', podName: '' };
  return {
    ...order,
    policyName: null,
    timeoutSeconds: 1,
    state: 'Finished',
    startTime: null,
    completionTime: null,
    containerNames: [ALL_CONTAINERS],
    containers,
    open: null,
    remains: [],
    disowned: false,
  };
}

/** Stands for the containers of an order where nobody knows their names. */
export const ALL_CONTAINERS = '*';

function documentOf(requestUID: string): string {
  return `${PREFIX}${requestUID}.json`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
