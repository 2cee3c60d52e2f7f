import { expect, test } from '@jest/globals';
import { createStandInRuntime } from '../../../../src/adapters/runtimes/stand-in-runtime.ts';
import { RuntimeUnavailable } from '../../../../src/ports/container-runtime.ts';
import { FakeContainerRuntime } from '../../../fakes/fake-container-runtime.ts';

test('works while the other was never there; from its first answer on for ever not', async () => {
  const inner = new FakeContainerRuntime('kubelet');
  const container = inner.add({ id: 'one' });
  let isThere = false;
  const runtime = createStandInRuntime(inner, () => Promise.resolve(isThere));
  expect(await runtime.list()).toEqual([container]);
  expect(await runtime.find('one')).toEqual(container);
  isThere = true;
  await expect(runtime.list()).rejects.toThrow(RuntimeUnavailable);
  isThere = false;
  for (const call of [runtime.probe(), runtime.list(), runtime.find('one')])
    await expect(call).rejects.toThrow('kubelet is not used: the socket of the container runtime is here');
});
