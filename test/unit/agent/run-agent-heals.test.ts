import { expect, test } from '@jest/globals';
import { runAgent } from '../../../src/agent/run-agent.ts';
import { aPolicyFor } from '../../builders/policies.ts';
import { FakeNode, RUNC_CONF } from '../../fakes/fake-node.ts';

test('after a fault that is over and a write that went well, an edit of somebody else is answered within 2 s', async () => {
  const node = new FakeNode({ [RUNC_CONF]: '# theirs\n' });
  node.run('web', {}, { app: 'web' });
  const ask = (mib: number) => {
    node.folder.put('a.yaml', [aPolicyFor('web', { fixed: `${mib}Mi` })]);
  };
  const stop = new AbortController();
  const agent = runAgent(node.engineParts(), stop.signal);
  ask(2);
  await node.clock.advance(121_000);
  node.files.fail('rename', 'EBUSY', { always: true });
  ask(3);
  await node.clock.advance(40_000);
  node.files.heal();
  ask(4); // a source speaks: the write goes well at once
  await node.clock.advance(1_000);
  expect(node.ownLines).toEqual([`ghost-limit ${4 * 2 ** 20}`]);
  node.files.put(RUNC_CONF, '# mine\n');
  await node.clock.advance(2_000);
  expect(node.ownLines).toEqual([`ghost-limit ${4 * 2 ** 20}`]);
  stop.abort();
  await agent.done;
});
