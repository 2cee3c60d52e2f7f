// The metrics of the controller runtime with prom-client, under the names that dashboards for client-go and controller-runtime know.
import { Counter, Gauge, Histogram } from 'prom-client';
import type { MachineryMetrics } from '../../ports/machinery-metrics.ts';
import type { PromRegistry } from './prom-registry.ts';

const LATENCY_BUCKETS = [0.001, 0.01, 0.1, 0.5, 1, 5, 30, 120];

export function createPromMachineryMetrics({ registers, reconciled }: PromRegistry): MachineryMetrics {
  const queue = defineQueueSeries(registers);
  const reflector = defineReflectorSeries(registers);
  const leader = new Gauge({
    name: 'leader_election_master_status',
    help: '1 while this process leads.',
    labelNames: ['name'],
    registers,
  });
  return {
    queueDepth: (name, keys) => {
      queue.depth.set({ name }, keys);
    },
    queueAdded: (name) => {
      queue.adds.inc({ name });
    },
    queueWaited: (name, seconds) => {
      queue.waited.observe({ name }, seconds);
    },
    queueWorked: (name, seconds) => {
      queue.worked.observe({ name }, seconds);
    },
    queueRetried: (name) => {
      queue.retries.inc({ name });
    },
    reconciled,
    listed: (name, result, seconds) => {
      reflector.lists.inc({ name, result });
      reflector.listSeconds.observe({ name }, seconds);
    },
    watched: (name, end, seconds) => {
      reflector.watches.inc({ name, end });
      reflector.watchSeconds.observe({ name }, seconds);
    },
    objectsHeld: (name, objects) => {
      reflector.objects.set({ name }, objects);
    },
    leading: (name, leading) => {
      leader.set({ name }, leading ? 1 : 0);
    },
  };
}

function defineQueueSeries(registers: PromRegistry['registers']) {
  const labelNames = ['name'];
  return {
    depth: new Gauge({
      name: 'workqueue_depth',
      help: 'Keys that wait for a worker.',
      labelNames,
      registers,
    }),
    adds: new Counter({ name: 'workqueue_adds_total', help: 'Keys added.', labelNames, registers }),
    waited: new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'From the add of a key to its worker.',
      buckets: LATENCY_BUCKETS,
      labelNames,
      registers,
    }),
    worked: new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'How long a worker had a key.',
      buckets: LATENCY_BUCKETS,
      labelNames,
      registers,
    }),
    retries: new Counter({
      name: 'workqueue_retries_total',
      help: 'Keys tried again.',
      labelNames,
      registers,
    }),
  };
}

function defineReflectorSeries(registers: PromRegistry['registers']) {
  return {
    lists: new Counter({
      name: 'reflector_lists_total',
      help: 'Lists, by result.',
      labelNames: ['name', 'result'],
      registers,
    }),
    listSeconds: new Histogram({
      name: 'reflector_list_duration_seconds',
      help: 'Duration of a list, all its pages.',
      buckets: LATENCY_BUCKETS,
      labelNames: ['name'],
      registers,
    }),
    watches: new Counter({
      name: 'reflector_watches_total',
      help: 'Watches, by how they ended.',
      labelNames: ['name', 'end'],
      registers,
    }),
    watchSeconds: new Histogram({
      name: 'reflector_watch_duration_seconds',
      help: 'How long a watch lived.',
      buckets: [1, 30, 150, 600, 1200],
      labelNames: ['name'],
      registers,
    }),
    objects: new Gauge({
      name: 'reflector_objects',
      help: 'Objects held.',
      labelNames: ['name'],
      registers,
    }),
  };
}
