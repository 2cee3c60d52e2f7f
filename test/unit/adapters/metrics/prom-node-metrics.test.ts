import { expect, test } from '@jest/globals';
import { createPromNodeMetrics } from '../../../../src/adapters/metrics/prom-node-metrics.ts';
import { createPromRegistry } from '../../../../src/adapters/metrics/prom-registry.ts';

const CONF = '/etc/criu/runc.conf';

test('every call is a series with its labels and unit', async () => {
  const registry = createPromRegistry('1.2.3', { processMetrics: false });
  const metrics = createPromNodeMetrics(registry);
  metrics.fileLimit(CONF, 3_145_728, 1_048_576, false);
  metrics.fileWrite(CONF, 'Failed');
  metrics.drift(CONF);
  metrics.scanned(0.01, 2, 2_797_568);
  metrics.checkpoint('docker', 'Failed', 'GhostLimitExceeded', 0.3);
  metrics.policies(2, 1);
  metrics.reconciled(0.001, 'success');
  const { contentType, text } = await registry.render();
  expect(contentType).toContain('text/plain');
  const samples = text.split('\n').filter((line) => !line.startsWith('#') && !line.includes('_bucket'));
  expect(samples.filter(Boolean).sort()).toEqual(
    [
      'controller_runtime_reconcile_time_seconds_count{controller="node"} 1',
      'controller_runtime_reconcile_time_seconds_sum{controller="node"} 0.001',
      'controller_runtime_reconcile_total{controller="node",result="success"} 1',
      'ghostlimit_build_info{version="1.2.3"} 1',
      'ghostlimit_checkpoint_duration_seconds_count{runtime="docker"} 1',
      'ghostlimit_checkpoint_duration_seconds_sum{runtime="docker"} 0.3',
      'ghostlimit_checkpoints_total{runtime="docker",result="Failed",reason="GhostLimitExceeded"} 1',
      'ghostlimit_ghost_file_largest_bytes 2797568',
      'ghostlimit_ghost_files 2',
      `ghostlimit_node_config_drift_total{path="${CONF}"} 1`,
      `ghostlimit_node_config_in_sync{path="${CONF}"} 0`,
      `ghostlimit_node_config_writes_total{path="${CONF}",result="Failed"} 1`,
      `ghostlimit_node_ghost_limit_bytes{path="${CONF}",source="desired"} 3145728`,
      `ghostlimit_node_ghost_limit_bytes{path="${CONF}",source="effective"} 1048576`,
      'ghostlimit_policies{state="accepted"} 2',
      'ghostlimit_policies{state="invalid"} 1',
      'ghostlimit_scan_duration_seconds_count 1',
      'ghostlimit_scan_duration_seconds_sum 0.01',
    ].sort(),
  );
});

test('with the series of the process, when asked for', async () => {
  const { text } = await createPromRegistry('1', { processMetrics: true }).render();
  expect(text).toMatch(/^process_resident_memory_bytes /m);
  expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
});
