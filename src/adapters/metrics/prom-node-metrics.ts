// The metrics of a node with prom-client. Names and labels are the contract of dashboards: add, never rename.
import { Counter, Gauge, Histogram } from 'prom-client';
import type { NodeMetrics } from '../../ports/node-metrics.ts';
import type { PromRegistry } from './prom-registry.ts';

export function createPromNodeMetrics({ registers, reconciled }: PromRegistry): NodeMetrics {
  const series = { ...defineFileSeries(registers), ...defineWorkSeries(registers) };
  return {
    fileLimit: (path, desiredBytes, effectiveBytes, isInSync) => {
      series.limit.set({ path, source: 'desired' }, desiredBytes);
      series.limit.set({ path, source: 'effective' }, effectiveBytes);
      series.inSync.set({ path }, isInSync ? 1 : 0);
    },
    fileWrite: (path, result) => {
      series.writes.inc({ path, result });
    },
    drift: (path) => {
      series.drift.inc({ path });
    },
    scanned: (seconds, files, largestBytes) => {
      series.scanSeconds.observe(seconds);
      series.ghostFiles.set(files);
      series.ghostLargest.set(largestBytes);
    },
    checkpoint: (runtime, result, reason, seconds) => {
      series.checkpoints.inc({ runtime, result, reason });
      series.checkpointSeconds.observe({ runtime }, seconds);
    },
    policies: (accepted, invalid) => {
      series.policies.set({ state: 'accepted' }, accepted);
      series.policies.set({ state: 'invalid' }, invalid);
    },
    reconciled: (seconds, result) => {
      reconciled('node', result, seconds);
    },
  };
}

/** What the node holds. */
function defineFileSeries(registers: PromRegistry['registers']) {
  return {
    limit: new Gauge({
      name: 'ghostlimit_node_ghost_limit_bytes',
      help: 'Ghost limit of a CRIU file: what is asked for and what is in force.',
      labelNames: ['path', 'source'],
      registers,
    }),
    inSync: new Gauge({
      name: 'ghostlimit_node_config_in_sync',
      help: '1 when the CRIU file holds what policies ask for.',
      labelNames: ['path'],
      registers,
    }),
    writes: new Counter({
      name: 'ghostlimit_node_config_writes_total',
      help: 'Writes of CRIU files, by result.',
      labelNames: ['path', 'result'],
      registers,
    }),
    drift: new Counter({
      name: 'ghostlimit_node_config_drift_total',
      help: 'Times that somebody else changed what we had written.',
      labelNames: ['path'],
      registers,
    }),
    policies: new Gauge({
      name: 'ghostlimit_policies',
      help: 'Policies of this node, by state.',
      labelNames: ['state'],
      registers,
    }),
  };
}

/** What the agent does, and what it finds. */
function defineWorkSeries(registers: PromRegistry['registers']) {
  return {
    scanSeconds: new Histogram({
      name: 'ghostlimit_scan_duration_seconds',
      help: 'Duration of one container scan.',
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    ghostFiles: new Gauge({
      name: 'ghostlimit_ghost_files',
      help: 'Ghost files found by the last scan.',
      registers,
    }),
    ghostLargest: new Gauge({
      name: 'ghostlimit_ghost_file_largest_bytes',
      help: 'Largest requirement found by the last scan.',
      registers,
    }),
    checkpoints: new Counter({
      name: 'ghostlimit_checkpoints_total',
      help: 'Checkpoints taken, by result and reason.',
      labelNames: ['runtime', 'result', 'reason'],
      registers,
    }),
    checkpointSeconds: new Histogram({
      name: 'ghostlimit_checkpoint_duration_seconds',
      help: 'Duration of one checkpoint call.',
      labelNames: ['runtime'],
      buckets: [0.05, 0.2, 0.5, 1, 2, 5, 15, 60, 300],
      registers,
    }),
  };
}
