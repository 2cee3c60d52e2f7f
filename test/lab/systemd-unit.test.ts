// deploy/systemd/ghostlimit.service under a real systemd (Debian's, pid 1 of the lab's host): that the agent can do its whole job with the rights that the unit leaves
// it, that each of these is needed, and what systemd does when the agent is stopped or killed.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { CheckpointNodeStatus, PolicyReport } from '../../src/api/checkpoint-node.ts';
import type { LabNode } from '../../hack/lab/lab-node.ts';
import { buildStandaloneFiles, FILES_INSIDE, PROJECT, type StandaloneFiles } from './standalone-files.ts';
import { eventually, limitPolicy, POLICIES, RUNC_CONF } from './standalone-host.ts';
import { startSystemdHost } from './systemd-host.ts';

const UNIT = readFileSync(join(PROJECT, 'deploy/systemd/ghostlimit.service'), 'utf8');
const CAPABILITIES = (/^CapabilityBoundingSet=(.*)$/m.exec(UNIT)?.[1] ?? '').split(' ');
const DROP_IN = '/etc/systemd/system/ghostlimit.service.d/test.conf';
/** The CRIU file is somebody else's, and not for everybody to read. */
const FOREIGN = '# theirs\n';

let files: StandaloneFiles;
let host: LabNode;
let ghostBytes: number;

const shell = (script: string): Promise<string> => host.run(['bash', '-euo', 'pipefail', '-c', script]);

/** A container that another user runs, and in which a deleted library is mapped but not open: as JNI libraries are. */
async function startMappedGhost(): Promise<void> {
  const library = (await shell('ls /lib/*-linux-gnu/libstdc++.so.6')).trim();
  await shell(`
    needed=$(ldd /usr/bin/sleep ${library} | grep -oE '/[^ :]+ ' | sort -u)
    list=$(for file in ${library} $needed; do echo "\${file#/}"; done)
    tar -C / --dereference -cf - --no-recursion tmp usr/bin/busybox usr/bin/sleep $list | docker import - mapping`);
  const inside = `busybox cp ${library} /tmp/ghost.so; LD_PRELOAD=/tmp/ghost.so /usr/bin/sleep 1000000 &
    until busybox grep -q ghost.so /proc/$!/maps; do busybox sleep 0.1; done
    busybox rm /tmp/ghost.so; echo ready; wait`;
  const run = ['docker', 'run', '-d', '--user', '1000:1000', '--network', 'host', '--label', 'app=mapping'];
  await host.run([...run, '--name', 'mapping', 'mapping', '/usr/bin/busybox', 'sh', '-c', inside]);
  await eventually('the library to be mapped', async () =>
    (await host.run(['docker', 'logs', 'mapping'])) === 'ready\n' ? true : null,
  );
  // CRIU counts blocks of 4096 bytes.
  ghostBytes = Math.ceil(Number(await shell(`stat -L -c %s ${library}`)) / 4096) * 4096;
}

/** Nothing of ours from before; the agent with these rights, ready: the first scan is over, and the pass that it asked for. */
async function startFresh(capabilities: readonly string[]): Promise<void> {
  await shell(`systemctl stop ghostlimit; ghostlimit apply --remove > /dev/null; rm -rf /var/lib/ghostlimit /run/ghostlimit
    mkdir -p /etc/criu; printf '${FOREIGN.trim()}\\n' > ${RUNC_CONF}; chown 1000:1001 ${RUNC_CONF}; chmod 640 ${RUNC_CONF}`);
  await host.writeFile(
    DROP_IN,
    `[Service]\nCapabilityBoundingSet=\nCapabilityBoundingSet=${capabilities.join(' ')}\n`,
  );
  await shell('systemctl daemon-reload; systemctl start ghostlimit');
  await eventually('the first scan', async () => {
    const metrics = await host.exec(['curl', '--silent', 'http://127.0.0.1:9808/metrics']);
    const log = await host.exec([
      ...['bash', '-c'],
      'journalctl --output cat _SYSTEMD_INVOCATION_ID="$(systemctl show --property InvocationID --value ghostlimit)"',
    ]);
    const done = /^ghostlimit_scan_duration_seconds_count [1-9]/m.test(metrics.stdout);
    return done || log.stdout.includes('container not scanned') ? true : null;
  });
  await ready();
}

async function ready(): Promise<void> {
  await eventually('the agent to be ready', async () =>
    (await host.exec(['curl', '--silent', 'http://127.0.0.1:9808/readyz'])).stdout === 'ok\n' ? true : null,
  );
}

/** The whole outcome, or what there is instead after a while. */
async function expectWhole(): Promise<void> {
  let outcome: Outcome | null = null;
  await eventually('the whole outcome', async () => {
    outcome = await readOutcome();
    return isDeepStrictEqual(outcome, whole()) ? true : null;
  }).catch(() => undefined);
  expect(outcome).toEqual(whole());
}

interface Outcome {
  readonly policy: PolicyReport['state'] | undefined;
  readonly ghostBytes: number | undefined;
  readonly file: string;
}

async function readOutcome(): Promise<Outcome> {
  const [policy] = (
    JSON.parse(await host.run(['ghostlimit', 'status', '-o', 'json'])) as CheckpointNodeStatus
  ).policies;
  const limit = /^ghost-limit .*$/m.exec((await host.readFile(RUNC_CONF))?.toString() ?? '')?.[0];
  const owner = (await shell(`stat -c '%u:%g %a' ${RUNC_CONF}`)).trim();
  return {
    policy: policy?.state,
    ghostBytes: policy?.targets[0]?.largestGhostFile?.bytes,
    file: `${owner} ${limit ?? 'no limit'}`,
  };
}

const whole = (): Outcome => ({
  policy: 'InForce',
  ghostBytes,
  file: '1000:1001 640 ghost-limit 4194304',
});

beforeAll(async () => {
  files = await buildStandaloneFiles();
  ({ host } = await startSystemdHost('unit', files.bind));
  await shell(`install -m 755 ${FILES_INSIDE}/ghostlimit /usr/local/bin/ghostlimit
    install -m 644 ${FILES_INSIDE}/ghostlimit.service /etc/systemd/system/ghostlimit.service`);
  await startMappedGhost();
  await host.writeFile(`${POLICIES}/mapping.yaml`, limitPolicy('mapping', '{auto: {}}'));
  await shell('systemctl daemon-reload; systemctl enable --now ghostlimit');
});
afterAll(async () => {
  await host.stop();
  await files.remove();
});

describe('the unit', () => {
  test('is one that systemd has nothing to say against', async () => {
    const { stdout, stderr } = await host.exec(['systemd-analyze', 'verify', 'ghostlimit.service']);
    expect((stdout + stderr).split('\n').filter((line) => line.includes('ghostlimit'))).toEqual([]);
  });

  test('lets the agent see the deleted library of a container of another user, and write a file of another user as it was', async () => {
    await startFresh(CAPABILITIES);
    await expectWhole();
  });

  test.each(CAPABILITIES)('gives %s, without which the agent cannot do all of that', async (left) => {
    await startFresh(CAPABILITIES.filter((capability) => capability !== left));
    expect(await readOutcome()).not.toEqual(whole());
  });
});

describe('systemd', () => {
  test('starts a killed agent again; what is in force stays', async () => {
    await startFresh(CAPABILITIES);
    await expectWhole();
    const main = 'systemctl show --property MainPID --value ghostlimit';
    const pid = await shell(main);
    await shell('systemctl kill --signal KILL ghostlimit');
    expect((await readOutcome()).file).toBe(whole().file);
    await eventually('the next agent', async () => {
      const now = await shell(main);
      const ready = await host.exec(['curl', '--silent', 'http://127.0.0.1:9808/readyz']);
      return now !== pid && ready.stdout === 'ok\n' ? true : null;
    });
    await expectWhole();
  });

  test('stops it at once and in good order; what is in force stays', async () => {
    await shell('systemctl stop ghostlimit');
    expect(await shell('systemctl show --property Result,ExecMainStatus --value ghostlimit')).toBe(
      'success\n0\n',
    );
    expect((await readOutcome()).file).toBe(whole().file);
  });

  test('does not start it again for wrong flags', async () => {
    await host.writeFile(
      DROP_IN,
      '[Service]\nExecStart=\nExecStart=/usr/local/bin/ghostlimit agent --standalone\n',
    );
    await shell('systemctl daemon-reload; systemctl start ghostlimit');
    const state = 'systemctl show --property ActiveState,ExecMainStatus,NRestarts ghostlimit | sort';
    const ended = 'ActiveState=failed\nExecMainStatus=2\nNRestarts=0\n';
    await eventually('its end', async () => ((await shell(state)) === ended ? true : null));
    // journald takes its time.
    await eventually('the reason in the journal', async () =>
      (await host.exec(['journalctl', '--unit', 'ghostlimit', '--output', 'cat'])).stdout.includes(
        '--policies is missing',
      )
        ? true
        : null,
    );
  });
});
