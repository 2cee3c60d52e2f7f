// The case that ghostlimit was made for, with nothing left out: the real Netty with its BoringSSL library on a JVM in Docker, and a policy that learns what it needs.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { jreBind } from '../../hack/lab/docker.ts';
import { importNettyImage, NETTY_LIBRARY_BYTES, NETTY_TLS, nettyBind } from '../../hack/lab/netty.ts';
import { CheckpointRequestSchema } from '../../src/api/checkpoint-request.ts';
import {
  eventually,
  limitPolicy,
  POLICIES,
  RUNC_CONF,
  startStandaloneHost,
  type StandaloneHost,
} from './standalone-host.ts';

const quiet = (): void => undefined;
let host: StandaloneHost;

beforeAll(async () => {
  host = await startStandaloneHost('netty', [await jreBind(quiet), await nettyBind(quiet)]);
  await importNettyImage(host.node, 'netty');
  await host.docker.docker(
    'run',
    '-d',
    '--name',
    'tls',
    '--label',
    'app=tls',
    '--network',
    'host',
    'netty',
    ...NETTY_TLS,
  );
  await eventually('Netty to tick', async () =>
    (await host.docker.docker('logs', 'tls')).includes('tick') ? true : null,
  );
}, 900_000);
afterAll(async () => {
  await host.stop();
});

test('Netty: explained when it fails, cured by a policy that learns, and it ticks on', async () => {
  const refused = await host.ghostlimitJson(CheckpointRequestSchema, 'checkpoint', 'tls');
  expect(refused.code).toBe(1);
  expect(refused.value.status.containers).toMatchObject([
    {
      result: 'Failed',
      reason: 'GhostLimitExceeded',
      attempts: 0,
      requiredGhostLimitBytes: NETTY_LIBRARY_BYTES,
      ghostFile: {
        path: expect.stringMatching(/^\/tmp\/libnetty_tcnative_linux_x86_64\d+\.so$/),
        bytes: NETTY_LIBRARY_BYTES,
      },
    },
  ]);

  await host.startAgent();
  await host.node.writeFile(`${POLICIES}/tls.yaml`, limitPolicy('tls', '{auto: {}}'));
  // 2,797,568 bytes and 25 % are 3,496,960, rounded up to whole MiB.
  await eventually('the learned limit', async () =>
    (await host.conf())?.includes('\nghost-limit 4194304\n') === true ? true : null,
  );
  const report = await host.reported('the report of it', ({ policies }) => policies[0]?.state === 'InForce');
  expect(report.policies).toMatchObject([
    {
      name: 'tls',
      state: 'InForce',
      targets: [{ requiredBytes: NETTY_LIBRARY_BYTES, learnedLimitBytes: 4_194_304 }],
    },
  ]);
  // Any other tool profits too: the engine's own command works now.
  await host.node.run(['docker', 'checkpoint', 'create', '--leave-running', 'tls', 'direct']);
  expect(
    (await host.ghostlimitJson(CheckpointRequestSchema, 'checkpoint', 'tls')).value.status.containers,
  ).toMatchObject([{ result: 'Succeeded' }]);
  const ticks = async (): Promise<number> =>
    (await host.docker.docker('logs', 'tls')).split('\n').filter((line) => line.startsWith('tick')).length;
  const before = await ticks();
  await eventually('it to tick on', async () => ((await ticks()) > before ? true : null));
  await host.node.run(['rm', `${POLICIES}/tls.yaml`]);
  await eventually(`${RUNC_CONF} to be gone again`, async () => ((await host.conf()) === null ? true : null));
});
