import { expect, test } from '@jest/globals';
import { neededSpaceBytes } from '../../../../src/domain/checkpoint/needed-space.ts';

const MIB = 2 ** 20;

test.each([
  ['nothing', 0, [], 0],
  ['memory: four times and a tenth more', 100 * MIB, [], 440 * MIB],
  [
    'ghost files too, by what they take on disk',
    90 * MIB,
    [
      ['Ghost', 8 * MIB],
      ['LinkRemapThenGhost', 2 * MIB],
    ],
    440 * MIB,
  ],
  ['files that are only linked are not copied', 100 * MIB, [['LinkRemap', 900 * MIB]], 440 * MIB],
] as const)('%s', (_sentence, residentBytes, files, bytes) => {
  const scanned = files.map(([remap, allocatedBytes]) => ({ remap, allocatedBytes }));
  expect(neededSpaceBytes({ residentBytes, files: scanned })).toBe(bytes);
});
