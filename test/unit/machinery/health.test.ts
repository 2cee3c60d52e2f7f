import { expect, test } from '@jest/globals';
import { checkHealth, printHealth, syncedCheck } from '../../../src/machinery/health.ts';

test('healthy when all checks are; each is named', () => {
  const verdict = checkHealth({ ping: () => null, caches: () => null });
  expect(verdict.healthy).toBe(true);
  expect(printHealth(verdict)).toBe('[+]ping ok\n[+]caches ok\ncheck passed\n');
});

test('one problem is enough, and a check that throws is one', () => {
  const verdict = checkHealth({
    ping: () => null,
    caches: () => 'policies not synced',
    broken: () => {
      throw new Error('oops');
    },
  });
  expect(verdict.healthy).toBe(false);
  expect(printHealth(verdict)).toBe(
    '[+]ping ok\n[-]caches failed: policies not synced\n[-]broken failed: oops\ncheck failed\n',
  );
});

test('nothing to check is healthy', () => {
  expect(checkHealth({})).toEqual({ healthy: true, checks: [] });
});

test('reflectors: the first that has not synced, with its error', () => {
  const reflector = (name: string, synced: boolean, message?: string) => ({
    name,
    status: () => ({ synced, lastError: message === undefined ? null : { message } }),
  });
  expect(syncedCheck([reflector('nodes', true, 'watch lost')])()).toBeNull();
  expect(syncedCheck([reflector('nodes', true), reflector('policies', false)])()).toBe('policies not synced');
  expect(syncedCheck([reflector('policies', false, '404 NotFound')])()).toBe(
    'policies not synced: 404 NotFound',
  );
});
