import { expect, test } from '@jest/globals';
import { isNewer } from '../../../src/machinery/resource-version.ts';

test.each([
  ['11', '10', true],
  ['10', '10', false],
  ['9', '10', false],
  ['100', '99', true],
  // Beyond what a double can tell apart.
  ['9007199254740993', '9007199254740992', true],
  ['9007199254740992', '9007199254740993', false],
  // Servers that do not count: everything is newer.
  ['a', 'b', true],
  ['', '5', true],
])('%p is newer than %p: %p', (one, other, newer) => {
  expect(isNewer(one, other)).toBe(newer);
});
