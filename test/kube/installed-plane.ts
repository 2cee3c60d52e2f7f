// A real API server on which a manifest of deploy/ was applied: kinds, roles, admission policies, settings. Nothing of it runs.
import { join } from 'node:path';
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { createKubeApi, type ConnectedKubeApi } from '../../src/adapters/kube/kube-api.ts';
import { KIND_DEFINITIONS } from '../../src/api/kinds.ts';
import type { KubeResource } from '../../src/api/kube-object.ts';
import { requestApi, type ApiAnswer, type ApiCall } from '../../hack/kube/api-request.ts';
import { startControlPlane, type ControlPlane } from '../../hack/kube/control-plane.ts';
import type { LabUser } from '../../hack/kube/lab-users.ts';
import { eventually } from './eventually.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const CONTROLLER = 'system:serviceaccount:ghostlimit-system:ghostlimit-controller';
export const AGENT = 'system:serviceaccount:ghostlimit-system:ghostlimit-agent';

export interface InstalledPlane extends ControlPlane {
  /** The product's own client, as this user, or with this token. */
  as: (who: { readonly user: string } | { readonly token: string }) => ConnectedKubeApi;
  /** A single call, by admin unless a token is given. */
  call: (call: Omit<ApiCall, 'token'> & { readonly token?: string }) => Promise<ApiAnswer>;
}

export interface StatusView {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly { readonly field?: string }[] };
}

/** /apis/group/version/[namespaces/NAMESPACE/]plural, or the object of it. */
export function pathOf(
  { group, version, namespaced, plural }: KubeResource,
  { namespace = 'default', name }: { readonly namespace?: string; readonly name?: string } = {},
): string {
  const base = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const within = namespaced ? `/namespaces/${namespace}` : '';
  return `${base}${within}/${plural}${name === undefined ? '' : `/${name}`}`;
}

/** `manifest`: crds.yaml has the kinds alone. */
export async function startInstalledPlane(
  manifest: 'install.yaml' | 'crds.yaml',
  users: readonly LabUser[] = [],
): Promise<InstalledPlane> {
  const plane = await startControlPlane({
    users: [{ name: CONTROLLER }, { name: AGENT }, ...users],
    apiServerArgs: ['--disable-admission-plugins=ServiceAccount'],
  });
  const clients: ConnectedKubeApi[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(clients.map((client) => client.close()));
    await plane.stop();
  };
  try {
    await plane.kubectl(['apply', '--server-side', '--filename', join(ROOT, 'deploy', manifest)]);
    await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    await eventually('the kinds to be served', async () => {
      const paths = KIND_DEFINITIONS.map(({ resource }) => pathOf(resource));
      const answers = await Promise.all(paths.map((path) => plane.request({ path })));
      return answers.every(({ status }) => status === 200) ? true : null;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...plane,
    stop,
    as: (who) => {
      const text = 'user' in who ? plane.kubeconfig(who.user) : withToken(plane.kubeconfig(), who.token);
      const source = { from: 'Text', text } as const;
      const client = createKubeApi({ source, version: '0.0.0', component: 'test', clock: systemClock });
      clients.push(client);
      return client;
    },
    call: ({ token = plane.tokenOf('admin'), ...call }) => requestApi(plane, { ...call, token }),
  };
}

function withToken(kubeconfig: string, token: string): string {
  const config = JSON.parse(kubeconfig) as { users: { user: { token: string } }[] };
  for (const { user } of config.users) user.token = token;
  return JSON.stringify(config);
}
