// Which folders are taken for the root of the host; in a real container in test/lab/standalone-image.test.ts.
import { describe, expect, test } from '@jest/globals';
import { tmpdir } from 'node:os';
import { checkHostRoot } from '../../../../src/adapters/host/host-root.ts';

describe('checkHostRoot', () => {
  test('takes / without a look', async () => {
    await expect(checkHostRoot('/')).resolves.toBeUndefined();
  });

  test.each(['host', '/host/', '/host/../etc', ''])(
    'refuses "%s": not a plain absolute path',
    async (path) => {
      await expect(checkHostRoot(path)).rejects.toThrow('write a plain absolute path, such as /host');
    },
  );

  // Without root /proc/1/root may not be looked at, which is refused in the same way.
  test.each([
    ['a folder that is not the root', tmpdir()],
    ['a folder that is not there', '/nowhere/at/all'],
  ])('refuses %s, and says how to start the container', async (_what, path) => {
    await expect(checkHostRoot(path)).rejects.toThrow(
      /^--host-root \/.* start the container with --privileged --pid=host -v \/:\/host:rslave/,
    );
  });
});
