// The user of the cluster: writes an object, and says when it sent it and when it had the answer.
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { createKubeApi, type ConnectedKubeApi } from '../../src/adapters/kube/kube-api.ts';
import type { KubeObject, KubeResource } from '../../src/api/kube-object.ts';
import { machineMs, serve } from './kube-worker.ts';

export interface Write {
  readonly resource: KubeResource;
  readonly object: KubeObject;
}

export interface Written {
  readonly sentMs: number;
  readonly answeredMs: number;
  readonly resourceVersion: string;
}

let api: ConnectedKubeApi | null = null;

serve({
  connect: async (kubeconfig: string) => {
    const source = { from: 'Text', text: kubeconfig } as const;
    api = createKubeApi({ source, version: '0.0.0', component: 'bench', clock: systemClock });
    await api.get(
      { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false },
      { name: 'default' },
    );
  },
  apply: async ({ resource, object }: Write): Promise<Written | null> => {
    const sentMs = machineMs();
    const written = await api?.apply(resource, object, { fieldManager: 'bench', force: true });
    return { sentMs, answeredMs: machineMs(), resourceVersion: written?.metadata.resourceVersion ?? '' };
  },
});
