// The inner half of a load process: it answers the calls that bench/kube-load.ts sends over the IPC channel, and ends with that.

/** Milliseconds of a clock that all processes of this machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export interface Call {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

export type Answer =
  { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

/** What a process costs, as it says itself. */
export interface Usage {
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
}

// The argument is plain JSON of our own other half.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Handlers = Readonly<Record<string, (argument: any) => unknown>>;

/** Answers `usage` beside the given names, until the other half is gone. With --expose-gc memory is what is left after a collection. */
export function serve(handlers: Handlers): void {
  const all: Handlers = { usage, ...handlers };
  process.on('message', (message) => {
    const { id, name, argument } = message as Call;
    const run = async (): Promise<unknown> => (await all[name]?.(argument)) ?? null;
    run().then(
      (value) => process.send?.({ id, value } satisfies Answer),
      (error: unknown) => process.send?.({ id, error: String(error) } satisfies Answer),
    );
  });
  process.on('disconnect', () => {
    process.exit();
  });
}

function usage(): Usage {
  (globalThis as { gc?: () => void }).gc?.();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return { cpuMs: (user + system) / 1000, rssBytes: rss, heapBytes: heapUsed };
}

/** `action` for each item, at most `width` at once. */
export async function inTurns<T>(
  items: readonly T[],
  width: number,
  action: (item: T) => Promise<unknown>,
): Promise<void> {
  const queue = [...items];
  const work = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await action(item);
  };
  await Promise.all(Array.from({ length: width }, work));
}
