// Who may call a lab's API server, by static tokens, and the kubeconfigs that hold them.

export interface LabUser {
  /** As RBAC sees it: `jane`, `system:serviceaccount:NAMESPACE:NAME`. */
  name: string;
  groups?: readonly string[];
}

/** May do everything. */
export const ADMIN: LabUser = { name: 'admin', groups: ['system:masters'] };

/** The token of a user in every lab: no secret. */
export const tokenOf = (userName: string): string => `lab-${Buffer.from(userName).toString('base64url')}`;

/** The text for --token-auth-file. A service account is in the groups that a real token of it would give. */
export function tokenFile(users: readonly LabUser[]): string {
  const lines = users.map(({ name, groups = serviceAccountGroups(name) }, index) =>
    [tokenOf(name), name, `uid-${index}`, JSON.stringify(groups.join(','))].join(','),
  );
  return `${lines.join('\n')}\n`;
}

function serviceAccountGroups(name: string): string[] {
  const [, namespace] = /^system:serviceaccount:([^:]+):[^:]+$/.exec(name) ?? [];
  return namespace === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
}

/** JSON, which every reader of kubeconfigs takes for the YAML that it is. */
export function kubeconfig(server: string, ca: string, userName: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'lab',
        cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') },
      },
    ],
    users: [{ name: userName, user: { token: tokenOf(userName) } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: userName } }],
    'current-context': 'lab',
  });
}
