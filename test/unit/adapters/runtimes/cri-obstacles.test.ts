import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { criObstacle } from '../../../../src/adapters/runtimes/cri-obstacles.ts';

const UNKNOWN = 2;
const UNIMPLEMENTED = 12;
const recorded = (name: string): string =>
  readFileSync(join(import.meta.dirname, `../../../fixtures/dump-logs/runtime-text/${name}.txt`), 'utf8');

test.each([
  ['cri-2.1-no-container', null],
  ['cri-2.4-no-container', null],
  ['cri-2.1-criu-missing', 'CriuMissing'],
  ['cri-2.4-criu-missing', 'CriuMissing'],
  ['cri-2.1-default-conf', 'ConfigInvalid'],
])('%s → %s', (name, reason) => {
  expect(criObstacle(UNKNOWN, recorded(name))?.reason ?? null).toBe(reason);
});

test('containerd 1.7, as it was recorded', () => {
  const [code = '', said = ''] = recorded('cri-1.7-unimplemented').trim().split(/ (.*)/);
  expect(Number(code)).toBe(UNIMPLEMENTED);
  expect(criObstacle(Number(code), said)?.reason).toBe('RuntimeUnsupported');
});

// From the source of containerd 2.4 and CRI-O.
test.each([
  [
    UNKNOWN,
    'failed to checkpoint container "x": criu support is disabled by configuration',
    'FeatureGateOff',
  ],
  [
    UNKNOWN,
    'failed to checkpoint container "x": checkpoint/restore requires at least CRIU 31600, current version is 31100',
    'CriuTooOld',
  ],
  [
    UNKNOWN,
    'failed to checkpoint container "x": failed to retrieve criu version: read criu-xprt-cln: connection reset by peer',
    'ConfigInvalid',
  ],
  [
    UNKNOWN,
    'failed to checkpoint container "x": failed to check for criu version: write criu-xprt-cln: broken pipe',
    'ConfigInvalid',
  ],
  [UNKNOWN, 'failed to checkpoint container "x": failed to check for criu version: EOF', 'ConfigInvalid'],
  [UNKNOWN, 'checkpoint/restore support not available', 'FeatureGateOff'],
])('%i %s', (code, said, reason) => {
  expect(criObstacle(code, said)?.reason).toBe(reason);
});
