// The story of the demo, told by real parts: a JVM whose checkpoint fails, a policy, the CRIU file, a checkpoint that works, the file as it was.
import { setTimeout as sleep } from 'node:timers/promises';
import { importJvmImage, jreBind, startDocker, type LabDocker } from './lab/docker.ts';
import { GHOST_JVM } from './lab/ghost-holders.ts';
import { PROJECT_INSIDE, startLabNode, type LabNode } from './lab/lab-node.ts';

const RUNC_CONF = '/etc/criu/runc.conf';
const POLICIES = '/etc/ghostlimit/policies';
const CONTAINER = 'checkout';
/** Each of these takes a second; a loaded machine may take long. */
const WAIT_MS = 120_000;
/** What somebody had put there before us: a line of their own, and no newline at the end. */
const FOREIGN_LINES = '# kept by the platform team\nskip-in-flight';
const POLICY = `apiVersion: ghostlimit.dev/v1alpha1
kind: CheckpointPolicy
metadata: {name: checkout}
spec:
  targets:
  - name: jvm
    selector: {matchLabels: {app: checkout}}
    ghostLimit: {fixed: 4Mi}
`;

const startedMs = performance.now();
const elapsed = (): string => `[${((performance.now() - startedMs) / 1000).toFixed(1).padStart(5)} s]`;
const tell = (text: string): void => {
  process.stderr.write(`${elapsed()} ${text}\n`);
};
const show = (text: string): void => {
  process.stdout.write(`${text.replace(/^/gm, '    ')}\n`);
};

async function waitFor<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const giveUpAt = performance.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > giveUpAt) throw new Error(`waited ${WAIT_MS / 1000} s for ${what}`);
    await sleep(50);
  }
}

const text = async (node: LabNode, path: string): Promise<string> =>
  (await node.readFile(path))?.toString() ?? '';

async function startContainer(node: LabNode): Promise<LabDocker> {
  const docker = await startDocker(node);
  tell('Docker Engine runs in it; loading a JVM image');
  await importJvmImage(node, 'jvm');
  await docker.docker(
    'run',
    '-d',
    '--name',
    CONTAINER,
    '--label',
    'app=checkout',
    '--network',
    'host',
    'jvm',
    ...GHOST_JVM,
  );
  await waitFor('the JVM', async () =>
    (await docker.docker('logs', CONTAINER)).includes('tick') ? true : null,
  );
  tell(
    `the container "${CONTAINER}" runs a JVM that has unpacked a JNI library into /tmp, loaded and deleted it, as Netty does`,
  );
  return docker;
}

async function showFailure(node: LabNode): Promise<void> {
  tell(`docker checkpoint create ${CONTAINER} before`);
  const { code, stderr } = await node.exec([
    'docker',
    'checkpoint',
    'create',
    '--leave-running',
    CONTAINER,
    'before',
  ]);
  if (code === 0) throw new Error('the checkpoint was expected to fail at the default limit, and did not');
  const logPath = /path= (\S+?):?\s/.exec(stderr)?.[1] ?? '';
  show(stderr.trim());
  const log = await text(node, logPath);
  show(
    log.split('\n').find((line) => line.includes("Can't dump ghost file")) ??
      `no ghost file is named in ${logPath}`,
  );
}

async function showCure(node: LabNode, ghostlimit: (...args: string[]) => Promise<string>): Promise<void> {
  tell(`a CheckpointPolicy is put into ${POLICIES}, which "ghostlimit agent --standalone" watches:`);
  show(POLICY.trimEnd());
  await node.writeFile(`${POLICIES}/checkout.yaml`, POLICY);
  const conf = await waitFor(`our lines in ${RUNC_CONF}`, async () => {
    const content = await text(node, RUNC_CONF);
    return content.includes('ghost-limit 4194304') ? content : null;
  });
  tell(`${RUNC_CONF} now:`);
  show(conf.trimEnd());
  tell(`ghostlimit checkpoint ${CONTAINER}`);
  show((await ghostlimit('checkpoint', CONTAINER)).trimEnd());
  tell('ghostlimit status');
  // The report is written at the end of the agent's pass, after the file.
  const status = await waitFor('the report', async () => {
    const report = await ghostlimit('status');
    return report.includes('InForce') ? report : null;
  });
  show(status.trimEnd());
}

async function showRemoval(node: LabNode, docker: LabDocker): Promise<void> {
  await node.run(['rm', `${POLICIES}/checkout.yaml`]);
  await waitFor('our lines to go', async () =>
    (await text(node, RUNC_CONF)) === FOREIGN_LINES ? true : null,
  );
  tell(`the policy is removed: ${RUNC_CONF} is byte for byte what it was:`);
  show(await text(node, RUNC_CONF));
  tell(`the JVM runs on: ${(await docker.docker('logs', '--tail', '1', CONTAINER)).trim()}`);
}

async function tellStory(node: LabNode): Promise<void> {
  const ghostlimit = (...args: string[]): Promise<string> =>
    node.run(['node', `${PROJECT_INSIDE}/dist/ghostlimit.mjs`, ...args]);
  const docker = await startContainer(node);
  await node.writeFile(RUNC_CONF, FOREIGN_LINES);
  await showFailure(node);
  await node.run(['mkdir', '-p', POLICIES]);
  node.spawn([
    'node',
    `${PROJECT_INSIDE}/dist/ghostlimit.mjs`,
    'agent',
    '--standalone',
    '--policies',
    POLICIES,
  ]);
  await showCure(node, ghostlimit);
  await showRemoval(node, docker);
}

async function demo(): Promise<void> {
  tell('making a throwaway node: a Debian file system in namespaces of its own');
  const bind = await jreBind(tell);
  const node = await startLabNode({ name: 'demo', binds: [bind], progress: tell });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(
      signal,
      () => void node.stop().finally(() => process.exit(128 + (signal === 'SIGINT' ? 2 : 15))),
    );
  }
  try {
    await tellStory(node);
  } finally {
    await node.stop();
  }
  tell('done; the throwaway node is gone');
}

try {
  await demo();
} catch (error) {
  tell(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
