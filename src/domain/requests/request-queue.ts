// Who is next: fair between the namespaces of a node, and no more of one policy at a time than it says. Pure, and made of objects only, so that a restart changes nothing.

export interface Queued {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly createdAtMs: number;
}

/** Positions up to here are shown as they are; further ones move too often to be written each time. */
const EXACT_POSITIONS = 10;

/**
 * The order in which those that wait for one node are let in. In turns: the namespace that has the fewest orders on the node (`ordered`: the
 * namespace of each) comes first, of several the one whose request has waited longest; inside a namespace by age, then by name.
 */
export function rankWaiting<T extends Queued>(waiting: readonly T[], ordered: readonly string[]): T[] {
  const held = countBy(ordered);
  const byNamespace = Map.groupBy(waiting.toSorted(byAge), ({ namespace }) => namespace);
  const turns = [...byNamespace].flatMap(([namespace, own]) => {
    const [first] = own;
    return own.map((request, index) => ({ request, first, turn: (held.get(namespace) ?? 0) + index }));
  });
  return turns
    .sort(
      (one, other) => one.turn - other.turn || byAge(one.first ?? one.request, other.first ?? other.request),
    )
    .map(({ request }) => request);
}

export interface PolicyQueue {
  /** Of the policy that wait, on all nodes. */
  readonly waiting: readonly (Queued & { readonly nodeName: string; readonly nodeHasRoom: boolean })[];
  /** The node of each that is ordered of the policy. */
  readonly ordered: readonly string[];
  readonly maxConcurrent: number;
}

/**
 * UIDs of those that the policy lets in now, of those whose node has room: in turns of the nodes, as each takes one checkpoint at a time. The node with
 * the fewest orders of the policy comes first, of several the one whose request is older.
 */
export function letInByPolicy({ waiting, ordered, maxConcurrent }: PolicyQueue): ReadonlySet<string> {
  const room = Math.max(0, maxConcurrent - ordered.length);
  if (room === 0) return new Set();
  const held = countBy(ordered);
  const next = waiting.filter(({ nodeHasRoom }) => nodeHasRoom).toSorted(byAge);
  const turns = next.map((request) => {
    const turn = held.get(request.nodeName) ?? 0;
    held.set(request.nodeName, turn + 1);
    return { request, turn };
  });
  // The sort is stable: by age within a turn.
  turns.sort((one, other) => one.turn - other.turn);
  return new Set(turns.slice(0, room).map(({ request }) => request.uid));
}

/** As it is up to 10; further off to the nearest 10, 100, 1000: the middle of a long queue need not be rewritten each time that its head moves. */
export function shownPosition(position: number): number {
  if (position <= EXACT_POSITIONS) return position;
  const step = 10 ** Math.max(1, Math.floor(Math.log10(position)));
  return Math.round(position / step) * step;
}

function byAge(one: Queued, other: Queued): number {
  return (
    one.createdAtMs - other.createdAtMs ||
    compare(one.name, other.name) ||
    compare(one.namespace, other.namespace) ||
    compare(one.uid, other.uid)
  );
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function countBy(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
