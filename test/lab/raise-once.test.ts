// The second attempt of RaiseOnce, made for real: a deleted file grows after the scan and before CRIU looks, so that only the dump can tell; the limit is raised once, or not at all.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAKE_WAITING_PLACE, waitFor } from '../../hack/lab/ghost-holders.ts';
import { requireCriu, startLabNode, type LabNode } from '../../hack/lab/lab-node.ts';
import { startRuncContainer, type RuncContainer } from '../../hack/lab/runc.ts';
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { createPosixHostFiles } from '../../src/adapters/host/posix-host-files.ts';
import { createStateFolder } from '../../src/adapters/host/state-folder.ts';
import { noMetrics } from '../../src/adapters/metrics/no-metrics.ts';
import {
  createChildGhostScanner,
  type ChildGhostScanner,
} from '../../src/adapters/proc/child-ghost-scanner.ts';
import { ChildProcessRunner } from '../../src/adapters/process/child-process-runner.ts';
import { scanWorkerOf } from '../../src/adapters/process/scan-worker.ts';
import type { PlanPolicy } from '../../src/api/checkpoint-plan.ts';
import type { ContainerResult } from '../../src/api/checkpoint-request.ts';
import { NodeSettingsSchema } from '../../src/api/settings.ts';
import { summarizeScan } from '../../src/domain/ghost/summarize-scan.ts';
import { gatherSubjects } from '../../src/node-engine/checkpoint-subjects.ts';
import {
  takeCheckpoint,
  type CheckpointOrder,
  type CheckpointParts,
} from '../../src/node-engine/take-checkpoint.ts';
import type { CheckpointCall } from '../../src/ports/container-runtime.ts';
import { aPlanPolicy, aPlanTarget } from '../builders/policies.ts';
import { ARCHIVES, runtimeNamed, silent } from './engine-rig.ts';
import { eventually, MIB, RUNC_CONF } from './standalone-host.ts';

const SCAN_CHILD = join(import.meta.dirname, '../fakes/scan-child.ts');
/** Without a newline at its end: that too has to be as before. */
const USERS_FILE = '# kept by the platform team\nskip-in-flight';
const GHOST = '/tmp/ghost.so';
const SMALL_BYTES = 0.5 * MIB;
const GROWN_BYTES = 3 * MIB;
/** Holds a small deleted file, counts, and makes the file so much bigger whenever /tmp/grow is there. */
const PROGRAM = [
  MAKE_WAITING_PLACE,
  `exec 3<>${GHOST}; head -c ${SMALL_BYTES.toString()} /dev/zero >&3; rm ${GHOST}; n=0`,
  `while :; do n=$((n+1)); printf "%010d\\n" $n 1<> /tmp/counter`,
  `if [ -e /tmp/grow ]; then rm /tmp/grow; head -c ${(GROWN_BYTES - SMALL_BYTES).toString()} /dev/zero >&3; : > /tmp/grown; fi`,
  `${waitFor(0.1)}; done`,
].join('; ');

let node: LabNode;
let stateFolder: string;
let scanner: ChildGhostScanner;
let files: CheckpointParts['files'];
let criuVersion: string;

beforeAll(async () => {
  node = await startLabNode({ name: 'raise-once', progress: () => undefined });
  await requireCriu(node);
  criuVersion = (await node.run(['sh', '-c', "criu --version | sed -n 's/^Version: //p'"])).trim();
  stateFolder = await mkdtemp(join(tmpdir(), 'ghostlimit-raise-'));
  scanner = createChildGhostScanner({
    startWorker: scanWorkerOf([process.execPath, SCAN_CHILD]),
    summarize: summarizeScan,
    procRoot: join(node.rootPath, 'proc'),
  });
  files = createPosixHostFiles({
    hostRoot: node.rootPath,
    requireRootOwner: true,
    processes: new ChildProcessRunner(),
  });
}, 300_000);

afterAll(async () => {
  scanner.close();
  await files.close();
  await node.stop();
  await rm(stateFolder, { recursive: true, force: true });
});

let started = 0;
let container: RuncContainer;

beforeEach(async () => {
  started += 1;
  const id = `grows${started.toString()}`;
  await node.writeFile(RUNC_CONF, USERS_FILE);
  container = await startRuncContainer(node, {
    id,
    args: ['/bin/sh', '-c', PROGRAM],
    annotations: { app: id },
    hostNetwork: true,
  });
  await eventually('it to count', async () => ((await counter()) > 0 ? true : null));
});
afterEach(() => container.remove());

async function counter(): Promise<number> {
  return Number((await node.readFile(`${container.rootfs}/tmp/counter`))?.toString() ?? '0');
}

async function expectRunsOn(): Promise<void> {
  const before = await counter();
  await eventually('it to go on', async () => ((await counter()) > before ? true : null));
}

function autoPolicy(maximumBytes: number): PlanPolicy {
  const auto = { minimumBytes: MIB, maximumBytes, headroomPercent: 25 };
  const { limitBytes: _fixed, ...target } = aPlanTarget({
    name: 'main',
    selector: { matchLabels: { app: container.id } },
  });
  return aPlanPolicy({ name: 'grows', scope: 'Checkpoint', targets: [{ ...target, auto }] });
}

interface Taken {
  readonly result: ContainerResult;
  /** What was said before each call of the runtime, and the file then. */
  readonly calls: readonly { readonly call: CheckpointCall; readonly file: string }[];
}

/** The deleted file grows right before each of the first `growths` calls, long after the scan. */
async function takeGrowing(
  policies: readonly PlanPolicy[],
  order: Pick<CheckpointOrder, 'onGhostLimit'>,
  growths = 1,
): Promise<Taken> {
  const runtime = await runtimeNamed(node, 'runc');
  const [subject] = await gatherSubjects([runtime], container.id, null);
  if (subject === undefined) throw new Error('the container is not found');
  const calls: { call: CheckpointCall; file: string }[] = [];
  const beforeCall = async (call: CheckpointCall): Promise<void> => {
    calls.push({ call, file: (await node.readFile(RUNC_CONF))?.toString() ?? '' });
    if (calls.length > growths) return;
    await node.run(['rm', '-f', `${container.rootfs}/tmp/grown`]);
    await node.writeFile(`${container.rootfs}/tmp/grow`, '');
    await eventually('the file to grow', () => node.readFile(`${container.rootfs}/tmp/grown`));
  };
  const parts: CheckpointParts = {
    scanner,
    files,
    state: createStateFolder({ directory: stateFolder }),
    clock: systemClock,
    log: silent,
    metrics: noMetrics,
    settings: NodeSettingsSchema.parse({ archives: { directory: ARCHIVES } }),
    policies,
    criuVersion,
  };
  return {
    result: await takeCheckpoint({ subject, timeoutMs: 120_000, beforeCall, ...order }, parts),
    calls,
  };
}

describe('a deleted file that grows between scan and dump', () => {
  test.each<[string, Pick<CheckpointOrder, 'onGhostLimit'>]>([
    ['RaiseOnce', { onGhostLimit: 'RaiseOnce' }],
    ['nothing said, as the target is an auto one', {}],
  ])(
    '%s: the limit is raised once, the second attempt works, and the file is as before',
    async (_said, order) => {
      const { result, calls } = await takeGrowing([autoPolicy(64 * MIB)], order);
      expect(result).toMatchObject({ name: container.id, result: 'Succeeded', attempts: 2 });
      expect(result.archive?.path).toBe(`${ARCHIVES}/${container.id}/${calls[1]?.call.checkpointName ?? ''}`);
      expect(calls).toHaveLength(2);
      // Of the small file the target asks for its minimum, which is what CRIU gives anyway. 3 MiB and 25 % are 3.75 MiB, in whole MiB 4.
      expect(calls.map(({ file }) => /^ghost-limit .*$/m.exec(file)?.[0])).toEqual([
        undefined,
        `ghost-limit ${(4 * MIB).toString()}`,
      ]);
      expect((await node.readFile(RUNC_CONF))?.toString()).toBe(USERS_FILE);
      await expectRunsOn();
    },
  );

  test('it grows again before the second attempt: there is no third', async () => {
    const { result, calls } = await takeGrowing([autoPolicy(64 * MIB)], { onGhostLimit: 'RaiseOnce' }, 3);
    expect(result).toMatchObject({
      result: 'Failed',
      reason: 'GhostLimitExceeded',
      attempts: 2,
      requiredGhostLimitBytes: 2 * GROWN_BYTES - SMALL_BYTES,
    });
    expect(calls).toHaveLength(2);
    expect((await node.readFile(RUNC_CONF))?.toString()).toBe(USERS_FILE);
    await expectRunsOn();
  });

  test('the maximum of the target is too low: one attempt, and what would do', async () => {
    const { result, calls } = await takeGrowing([autoPolicy(2 * MIB)], { onGhostLimit: 'RaiseOnce' });
    expect(result).toMatchObject({
      result: 'Failed',
      reason: 'GhostLimitExceeded',
      attempts: 1,
      ghostFile: { path: GHOST, bytes: GROWN_BYTES },
      requiredGhostLimitBytes: GROWN_BYTES,
      hint: 'raise ghostLimit.auto.maximum of target main of CheckpointPolicy default/grows to at least 3145728 (3Mi)',
    });
    expect(calls).toHaveLength(1);
    expect((await node.readFile(RUNC_CONF))?.toString()).toBe(USERS_FILE);
    await expectRunsOn();
  });

  test('Fail: one attempt, whatever the target allows', async () => {
    const { result, calls } = await takeGrowing([autoPolicy(64 * MIB)], { onGhostLimit: 'Fail' });
    expect(result).toMatchObject({
      result: 'Failed',
      reason: 'GhostLimitExceeded',
      attempts: 1,
      ghostFile: { path: GHOST, bytes: GROWN_BYTES },
      requiredGhostLimitBytes: GROWN_BYTES,
    });
    expect(calls).toHaveLength(1);
    expect((await node.readFile(RUNC_CONF))?.toString()).toBe(USERS_FILE);
    await expectRunsOn();
  });
});
