// The contract of KubeApi on a real kube-apiserver, through the adapter; and what becomes of it when that server is killed.
import { expect, test } from '@jest/globals';
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { createKubeApi } from '../../src/adapters/kube/kube-api.ts';
import type { ConnectedKubeApi } from '../../src/adapters/kube/kube-api.ts';
import type { KubeResource } from '../../src/api/kube-object.ts';
import { CONFIG_MAPS } from '../../src/api/kube-resources.ts';
import type { KubeApi } from '../../src/ports/kube-api.ts';
import { startControlPlane } from '../../hack/kube/control-plane.ts';
import type { ControlPlane } from '../../hack/kube/control-plane.ts';
import { kubeApiContract } from '../contract/kube-api.contract.ts';
import type { KubeWorld } from '../contract/kube-api.contract.ts';
import { CUSTOM_RESOURCE_DEFINITIONS, WIDGET_CRD, WIDGETS } from '../contract/widget-crd.ts';

const NAMESPACES: KubeResource = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};

function connect(plane: ControlPlane): ConnectedKubeApi {
  const source = { from: 'Text', text: plane.kubeconfig() } as const;
  return createKubeApi({ source, version: '0.0.0', component: 'test', clock: systemClock });
}

async function realWorld(): Promise<KubeWorld> {
  const plane = await startControlPlane({ apiServerArgs: ['--disable-admission-plugins=ServiceAccount'] });
  const api = connect(plane);
  const dispose = async (): Promise<void> => {
    await api.close();
    await plane.stop();
  };
  try {
    await prepare(api);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { api, namespace: 'contract', dispose };
}

async function prepare(api: KubeApi): Promise<void> {
  await api.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'contract' } });
  await api.create(CUSTOM_RESOURCE_DEFINITIONS, WIDGET_CRD);
  await untilServed(api);
}

/** Some seconds after its definition was taken the kind is served. */
async function untilServed(api: KubeApi): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  for (;;) {
    const isServed = await api.list(WIDGETS, {}).then(
      () => true,
      () => false,
    );
    if (isServed) return;
    if (Date.now() > giveUpAt) throw new Error('the kind Widget is not served');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

kubeApiContract('kube-apiserver', realWorld);

test('a server that is killed breaks watches and calls; the same client goes on with the next one', async () => {
  const plane = await startControlPlane();
  const api = connect(plane);
  try {
    const { resourceVersion } = await api.list(CONFIG_MAPS, {});
    const signal = AbortSignal.timeout(120_000);
    const stream = api.watch(CONFIG_MAPS, { resourceVersion, timeoutSeconds: 600, signal });
    const watch = stream[Symbol.asyncIterator]();
    const first = watch.next();
    const ref = { namespace: 'default', name: 'killed' };
    await api.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: ref });
    await first;
    const second = watch.next().catch((error: unknown) => error);
    await plane.apiServer.kill();
    expect(await second).toMatchObject({ name: 'KubeUnreachable' });
    await expect(api.get(CONFIG_MAPS, ref)).rejects.toMatchObject({ name: 'KubeUnreachable' });
    await plane.restartApiServer();
    expect(await api.get(CONFIG_MAPS, ref)).toMatchObject({ metadata: ref });
  } finally {
    await api.close();
    await plane.stop();
  }
});
