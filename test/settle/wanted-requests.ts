// What requests and orders of the simulated cluster should have come to, and where they differ from that. Reads only.
import { readCheckpointNodeSpec, readCheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';
import { objectKey, type KubeObject } from '../../src/api/kube-object.ts';
import { CHECKPOINT_NODES, CHECKPOINT_REQUESTS } from '../../src/api/kube-resources.ts';
import { CLEANUP_FINALIZER } from '../../src/api/names.ts';
import { readRequestFacts, stageOf, type RequestFacts } from '../../src/domain/requests/request-facts.ts';
import type { SettleWorld } from './settle-world.ts';
import type { SimulatedNode } from './simulated-node.ts';

/** One line for each thing that is not as it should be. */
export function requestDifferences(world: SettleWorld): string[] {
  const objects = world.kube.all(CHECKPOINT_REQUESTS);
  return [
    ...objects.flatMap((object) => requestDifference(object, world)),
    ...[...world.nodes.values()].flatMap((node) => orderDifferences(node, world)),
    ...archiveDifferences(objects.map(readRequestFacts)),
    ...[...world.nodes.values()].flatMap((node) => dumpDifferences(node, world)),
  ];
}

function isSilent(node: SimulatedNode | undefined): boolean {
  return node !== undefined && (!node.ready || node.agent === null);
}

function requestDifference(object: KubeObject, { nodes, settings }: SettleWorld): string[] {
  const facts = readRequestFacts(object);
  const key = objectKey(object.metadata);
  const found = conditionDifferences(facts).map((what) => `${key} ${what}`);
  // Its archives are deleted when the node is back.
  if (facts.deleting && !isSilent(nodes.get(facts.status.nodeName ?? '')))
    found.push(`${key} is still being deleted`);
  if (settings.removal && facts.finalizers.includes(CLEANUP_FINALIZER))
    found.push(`${key} has its finalizer`);
  return found;
}

function conditionDifferences(facts: RequestFacts): string[] {
  const { conditions = [], summary = 'new' } = facts.status;
  if (stageOf(facts) !== 'Finished') return [`is ${summary}`];
  const types = conditions.map(({ type }) => type).filter((type) => type !== 'Accepted');
  return ['Complete', 'Failed Stalled'].includes(types.join(' '))
    ? []
    : [`has the conditions ${JSON.stringify(conditions)}`];
}

function orderDifferences(node: SimulatedNode, { kube, settings }: SettleWorld): string[] {
  const object = kube.find(CHECKPOINT_NODES, { name: node.name });
  const spec = object === null ? null : readCheckpointNodeSpec(object);
  if (object === null || spec === null) return [`${node.name} has no orders that can be read`];
  if (isSilent(node)) return [];
  const status = readCheckpointNodeStatus(object);
  // While everything is taken back nobody hears them.
  const triggers = settings.removal ? [] : (status?.triggers ?? []);
  const lists = { ...spec, reported: status?.orders ?? [], triggers };
  return Object.entries(lists).flatMap(([name, list]) =>
    list.length === 0 ? [] : [`${node.name} has ${name}: ${JSON.stringify(list)}`],
  );
}

/** No archive is told twice. */
function archiveDifferences(requests: readonly RequestFacts[]): string[] {
  const paths = requests.flatMap(({ status }) =>
    (status.containers ?? []).flatMap(({ archive }) =>
      archive === undefined ? [] : [`${status.nodeName ?? ''}${archive.path}`],
    ),
  );
  return paths.filter((path, index) => paths.indexOf(path) !== index).map((path) => `${path} is told twice`);
}

/** A container was not dumped more often than requests say that they, or their node, may have begun with it. */
function dumpDifferences(node: SimulatedNode, { requests, pods }: SettleWorld): string[] {
  const begun = Map.groupBy(node.runtime.begun, (containerId) => containerId);
  const may = [...requests.values()].map(readRequestFacts).filter(mayHaveBegun);
  return [...begun].flatMap(([containerId, dumps]) => {
    const podName = containerId.replace(/^id-/, '');
    const asked = may.filter(({ spec }) => spec?.podName === podName).length;
    if (dumps.length <= asked) return [];
    const where = pods.has(podName) ? '' : ' (gone)';
    return [
      `${podName}${where} was dumped ${dumps.length.toString()} times for ${asked.toString()} requests`,
    ];
  });
}

/** Not those that were told as never started. */
function mayHaveBegun(facts: RequestFacts): boolean {
  return stageOf(facts) !== 'Finished' || facts.status.startTime !== undefined;
}
