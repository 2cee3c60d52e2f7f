import { expect, test } from '@jest/globals';
import { createLeaseWatch } from '../../../src/machinery/lease-watch.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { RecordingLog, RecordingMetrics } from './recording.ts';
import { ScriptedServer } from './scripted-server.ts';

test('tells the election of each state of the one lease, and of its end', async () => {
  const time = new VirtualTime();
  const server = new ScriptedServer(time);
  const seen: (string | undefined)[] = [];
  const election = {
    observe: (lease: { metadata: { resourceVersion?: string } } | null) => {
      seen.push(lease?.metadata.resourceVersion ?? 'deleted');
    },
  };
  const parts = { api: server, clock: time, log: new RecordingLog(), metrics: new RecordingMetrics() };
  const watch = createLeaseWatch(
    { ...parts, random: () => 0.5 },
    { namespace: 'system', name: 'controller' },
    election,
  );
  const stop = new AbortController();
  server.put('controller');
  const done = watch.run(stop.signal);
  await time.rest();
  server.put('controller');
  server.remove('controller');
  await time.rest();
  expect(seen).toEqual(['1001', '1002', 'deleted']);
  expect(server.requests.map(({ options }) => [options.namespace, options.fieldSelector])).toEqual([
    ['system', 'metadata.name=controller'],
    ['system', 'metadata.name=controller'],
  ]);
  stop.abort();
  await done;
});
