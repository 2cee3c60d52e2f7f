import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import type { KubeObject } from '../../../src/api/kube-object.ts';
import { createSettingsSource } from '../../../src/controller/settings-view.ts';
import { RecordingLog } from '../machinery/recording.ts';
import { MI } from './controller-fixture.ts';

const configMap = (data: Record<string, unknown>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'ghostlimit-settings', namespace: 'ghostlimit-system' },
  data,
});
const settings = (text: string): KubeObject => configMap({ 'settings.yaml': text });

function aSource() {
  const log = new RecordingLog();
  return { source: createSettingsSource(parse, log), log };
}

test('before the first look there are none', () => {
  const { source } = aSource();
  expect([source.current(), source.problem(), source.object()]).toEqual([
    null,
    'the settings were not read yet',
    null,
  ]);
});

test('an empty text is all defaults', () => {
  const { source } = aSource();
  expect(source.take(settings(''))).toBe(true);
  expect(source.current()).toMatchObject({ maxGhostLimit: 1024 * MI, baseGhostLimit: null, removal: false });
  expect(source.problem()).toBeNull();
});

test('the same settings in other words are no news', () => {
  const { source } = aSource();
  source.take(settings('maxGhostLimit: 64Mi'));
  expect(source.take(settings('# by the platform team\nmaxGhostLimit: 67108864'))).toBe(false);
  expect(source.take(settings('maxGhostLimit: 32Mi'))).toBe(true);
});

describe('what cannot be used leaves the last good settings, and says why', () => {
  const aMissing = 'there is no ConfigMap with the settings';
  test.each<[string, KubeObject | null, string | RegExp]>([
    ['no ConfigMap', null, aMissing],
    ['no key', configMap({ other: 'x' }), 'data: the key settings.yaml is missing'],
    ['no data', { ...configMap({}), data: undefined }, 'data: the key settings.yaml is missing'],
    ['no YAML', settings('maxGhostLimit: ['), /^settings\.yaml: /],
    ['a wrong value', settings('maxGhostLimit: 3 bananas'), /^settings\.yaml: maxGhostLimit: "3 bananas"/],
    ['an unknown key', settings('maxGhostLimits: 3Mi'), /^settings\.yaml: .*maxGhostLimits/],
    [
      'a base over the cap',
      settings('{maxGhostLimit: 2Mi, baseGhostLimit: 3Mi}'),
      /^settings\.yaml: baseGhostLimit: 3145728: must not be over maxGhostLimit/,
    ],
  ])('%s', (_what, object, problem) => {
    const { source, log } = aSource();
    source.take(settings('maxGhostLimit: 64Mi'));
    expect(source.take(object)).toBe(false);
    expect(source.current()?.maxGhostLimit).toBe(64 * MI);
    expect(source.problem()).toEqual(typeof problem === 'string' ? problem : expect.stringMatching(problem));
    expect(source.object()).toBe(object);
    expect(log.messages('error')).toEqual(['settings not usable, the last good ones stay']);
    source.take(settings('maxGhostLimit: 64Mi'));
    expect(source.problem()).toBeNull();
  });
});
