// What kstatus, by which Flux and others wait, and `kubectl wait` read from the objects of a real cluster: the real library gets every version that the API server showed.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ensureKubePrograms } from '../../hack/kube/kube-binaries.ts';
import { runProgram } from '../../hack/lab/program.ts';
import type { KubeObject, KubeResource } from '../../src/api/kube-object.ts';
import { CHECKPOINT_NODES, CHECKPOINT_POLICIES } from '../../src/api/kube-resources.ts';
import { pathOf } from './installed-plane.ts';
import { aPolicy, conditionOf, isReady, RUNC_CONF, startOperatorLab, SYSTEM } from './operator-lab.ts';
import type { OperatorLab } from './operator-lab.ts';

interface Verdict {
  readonly status: string;
  readonly message: string;
}

const THEIRS = '# theirs\n';
const recording = new AbortController();
let lab: OperatorLab;

beforeAll(async () => {
  lab = await startOperatorLab({ nodes: 1 });
});
afterAll(async () => {
  recording.abort();
  await lab.stop();
});

/** What the library says of each object, in their order. */
async function judge(objects: readonly KubeObject[]): Promise<Verdict[]> {
  const { kstatus } = await ensureKubePrograms(['kstatus'], () => undefined);
  const input = objects.map((object) => `${JSON.stringify(object)}\n`).join('');
  const { code, stdout, stderr } = await runProgram([kstatus], { input });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.toString().trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Verdict);
}

/** The statuses in their order, each once however often it was said again. */
function way(verdicts: readonly Verdict[]): string[] {
  return verdicts.map(({ status }) => status).filter((status, index, all) => status !== all[index - 1]);
}

/** Waits until the version that the API server has now was recorded too. */
async function untilRecorded(
  seen: readonly KubeObject[],
  resource: KubeResource,
  name: string,
): Promise<void> {
  const { text } = await lab.cluster.request({ path: pathOf(resource, { name }) });
  const { resourceVersion } = (JSON.parse(text) as KubeObject).metadata;
  await lab.until('the recording to have come so far', () =>
    Promise.resolve(seen.some(({ metadata }) => metadata.resourceVersion === resourceVersion) ? true : null),
  );
}

async function setSettings(text: string): Promise<void> {
  const patch = JSON.stringify({ data: { 'settings.yaml': text } });
  await lab.kubectl('-n', SYSTEM, 'patch', 'configmap', 'ghostlimit-settings', '--type=merge', '-p', patch);
}

const waitFor = (condition: string): Promise<string> =>
  lab.kubectl('wait', `--for=condition=${condition}`, 'checkpointpolicy/watched', '--timeout=60s');

test('a policy, from its birth to its end', async () => {
  await lab.writeConf('node1', THEIRS);
  await lab.runPod({ name: 'watched', nodeName: 'node1', command: ['/bin/sleep', '1000000'] });
  const seen = await lab.recordObjects(CHECKPOINT_POLICIES, recording.signal);

  await lab.apply(aPolicy('watched', { fixed: '3Mi' }));
  expect(await waitFor('Ready')).toBe('checkpointpolicy.ghostlimit.dev/watched condition met\n');
  expect(await lab.conf('node1')).toContain('\nghost-limit 3145728\n');

  await setSettings('maxGhostLimit: 2Mi\n');
  await waitFor('Stalled');
  await lab.untilConf('node1', 'what it was', (text) => text === THEIRS);

  // A file that cannot be changed holds the way back up until it was seen.
  const node = lab.cluster.nodeNamed('node1');
  await node.run(['chattr', '+i', RUNC_CONF]);
  try {
    await setSettings('{}\n');
    await lab.untilPolicy(
      'watched',
      'accepted, and not in force',
      (status) => conditionOf(status, 'Ready') === 'False NodesFailing',
    );
  } finally {
    await node.run(['chattr', '-i', RUNC_CONF]);
  }
  await lab.untilPolicy('watched', 'in force again', isReady);

  // The wait begins while Ready is still True, of the spec before: it must not be taken in by that. 2Mi was never over the cap.
  await lab.apply(aPolicy('watched', { fixed: '2Mi' }));
  await waitFor('Ready');
  expect(await lab.conf('node1')).toContain('\nghost-limit 2097152\n');
  await untilRecorded(seen, CHECKPOINT_POLICIES, 'watched');

  await lab.kubectl('delete', 'checkpointpolicy', 'watched', '--timeout=60s');
  await lab.until('the end to be recorded', () =>
    Promise.resolve(seen.at(-1)?.metadata.deletionTimestamp === undefined ? null : true),
  );

  const verdicts = await judge(seen);
  expect(way(verdicts)).toEqual([
    'InProgress', // new, then rolled out
    'Current',
    'Failed', // over the cap
    'InProgress', // under the cap again, on its way
    'Current',
    'InProgress', // another spec
    'Current',
    'Terminating',
  ]);
  expect(verdicts[0]?.message).toBe('CheckpointPolicy generation is 1, but latest observed generation is -1');
  const rollingOut = seen.findIndex(({ status }) => JSON.stringify(status).includes('"Reconciling"'));
  expect(verdicts[rollingOut]).toEqual({ status: 'InProgress', message: expect.stringMatching(ON_ITS_WAY) });
  const said = (status: string): string[] =>
    verdicts.filter((verdict) => verdict.status === status).map(({ message }) => message);
  expect(new Set(said('Failed'))).toEqual(new Set([expect.stringMatching(/3Mi.*2Mi.*maxGhostLimit/)]));
  expect(said('InProgress')).toContain(
    'CheckpointPolicy generation is 2, but latest observed generation is 1',
  );
});

const ON_ITS_WAY = /^(being handed to the nodes|in force on 0 of 1 node so far)$/;

test("a node's object: in progress until its agent has reported, and after each change of its spec", async () => {
  const seen = await lab.recordObjects(CHECKPOINT_NODES, recording.signal);
  const observed = (generation: number): Promise<true> =>
    lab.until(`a report on generation ${generation.toString()}`, async () =>
      (await lab.report('node1'))?.observedGeneration === generation ? true : null,
    );
  await lab.kubectl('delete', 'checkpointnode', 'node1', '--timeout=60s');
  await observed(1);
  await lab.kubectl('wait', '--for=condition=Ready', 'checkpointnode/node1', '--timeout=60s');
  const spec = { deletions: [{ requestUID: '6a0f7c1e-58a4-4c1b-9f5e-1f5c1c9c7d10' }] };
  await lab.kubectl('patch', 'checkpointnode', 'node1', '--type=merge', '-p', JSON.stringify({ spec }));
  await observed(2);
  await untilRecorded(seen, CHECKPOINT_NODES, 'node1');

  const verdicts = await judge(seen);
  expect(way(verdicts)).toEqual([
    'Current', // the last of the one that was deleted
    'InProgress', // made anew
    'Current',
    'InProgress', // another spec
    'Current',
  ]);
  expect(verdicts[1]?.message).toBe('CheckpointNode generation is 1, but latest observed generation is -1');
});
