// The order in which the pods of a round are asked for: in turns of their nodes, as each node takes one checkpoint at a time. Pure.

export interface PlacedPod {
  readonly nodeName: string;
  readonly podName: string;
}

/** The first pod of each node, then the second of each, and so on; nodes and their pods by name. The same for any order of `pods`. */
export function spreadOverNodes<T>(pods: readonly T[], placeOf: (pod: T) => PlacedPod): T[] {
  const placed = pods.map((pod) => ({ pod, ...placeOf(pod) }));
  const byName = placed.sort((one, other) => compare(one.podName, other.podName));
  const turns = [...Map.groupBy(byName, ({ nodeName }) => nodeName).values()].flatMap((own) =>
    own.map((one, turn) => ({ ...one, turn })),
  );
  return turns
    .sort((one, other) => one.turn - other.turn || compare(one.nodeName, other.nodeName))
    .map(({ pod }) => pod);
}

/** By code units: a locale must not change it. */
function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
