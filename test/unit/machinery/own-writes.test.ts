import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import { CONFIG_MAPS } from '../../../src/api/kube-resources.ts';
import { withOwnWrites } from '../../../src/machinery/own-writes.ts';
import { createObjectReflector } from '../../../src/machinery/reflector.ts';
import { FakeKube } from '../../fakes/fake-kube.ts';
import { VirtualTime } from '../../fakes/virtual-time.ts';
import { RecordingLog, RecordingMetrics } from './recording.ts';

const REF = { namespace: 'shop', name: 'a' };
const aMap = (value: string, metadata: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { ...REF, ...metadata },
  data: { value },
});

async function aView() {
  const time = new VirtualTime();
  const api = new FakeKube({ clock: time });
  await api.direct.create(CONFIG_MAPS, aMap('1'));
  const parts = {
    api,
    clock: time,
    log: new RecordingLog(),
    metrics: new RecordingMetrics(),
    random: () => 0,
  };
  const reflector = createObjectReflector(parts, { name: 'maps', resource: CONFIG_MAPS });
  const view = withOwnWrites(reflector, {
    project: (object) => object,
    derive: ({ data }) => (data as { readonly value: string }).value,
    indexes: { value: (value) => [value] },
  });
  const told: string[] = [];
  view.subscribe(({ before, after }) => told.push(`${before ?? '-'} to ${after ?? '-'}`));
  const stop = new AbortController();
  void reflector.run(stop.signal);
  await time.advance(0);
  const write = (value: string) =>
    api.mergePatch(CONFIG_MAPS, REF, { data: { value } }, { fieldManager: 'test' });
  return { time, api, view, told, write, stop };
}

describe('what this process wrote', () => {
  test('counts at once, is told once, and by its indexes', async () => {
    const { time, api, view, told, write, stop } = await aView();
    api.faults.sometimes({ verb: 'watch' }, 1, [{ kind: 'unreachable' }]);
    api.cutWatches();
    await time.advance(0);
    view.take(await write('2'));
    expect(view.store.get('shop/a')).toBe('2');
    expect(view.store.by('value', '2')).toEqual(['2']);
    expect(told).toEqual(['- to 1', '1 to 2']);
    api.faults.clear();
    await time.advance(60_000);
    expect(told).toEqual(['- to 1', '1 to 2']);
    stop.abort();
  });

  test('older news of the watch come to nothing, newer ones count', async () => {
    const { time, api, view, told, write, stop } = await aView();
    api.faults.sometimes({ verb: 'watch' }, 1, [{ kind: 'unreachable' }]);
    api.cutWatches();
    await time.advance(0);
    await write('2');
    view.take(await write('3'));
    await write('4');
    api.faults.clear();
    await time.advance(60_000);
    expect(told).toEqual(['- to 1', '1 to 3', '3 to 4']);
    stop.abort();
  });

  test('that is older than what is known already is ignored', async () => {
    const { time, view, told, write, stop } = await aView();
    const older = await write('2');
    await write('3');
    await time.advance(0);
    view.take(older);
    expect(told).toEqual(['- to 1', '1 to 2', '2 to 3']);
    stop.abort();
  });

  test('of an object that is gone brings nothing back', async () => {
    const { time, api, view, told, write, stop } = await aView();
    const answer = await write('2');
    await api.direct.delete(CONFIG_MAPS, REF);
    await time.advance(0);
    view.take(answer);
    expect(view.store.get('shop/a')).toBeNull();
    expect(told).toEqual(['- to 1', '1 to 2', '2 to -']);
    stop.abort();
  });

  test('is forgotten with its object, and another of the name counts', async () => {
    const { time, api, view, told, write, stop } = await aView();
    view.take(await write('2'));
    await api.direct.delete(CONFIG_MAPS, REF);
    await api.direct.create(CONFIG_MAPS, aMap('new'));
    await time.advance(0);
    expect(view.store.get('shop/a')).toBe('new');
    expect(told.at(-1)).toBe('- to new');
    stop.abort();
  });
});
