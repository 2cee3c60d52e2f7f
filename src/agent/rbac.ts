// What an agent may do. Manifests and tests read this; the program does not.
import type { PolicyRule, Rights } from '../api/rbac.ts';
import { GROUP } from '../api/names.ts';

/** The admission policy checkpointnode-own-node binds the status further: to the object of the agent's own node. */
export const AGENT_RIGHTS: Rights = {
  cluster: [
    {
      apiGroups: [GROUP],
      resources: ['checkpointplans', 'checkpointnodes'],
      verbs: ['get', 'list', 'watch'],
    },
    { apiGroups: [GROUP], resources: ['checkpointnodes/status'], verbs: ['patch'] },
    // Those of its node, by field selector; RBAC cannot bind that.
    { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
  ],
  ownNamespace: [],
};

/** For the backends kubelet and auto only: it reaches the kubelet of every node, and no policy can bind it to one (measured). */
export const KUBELET_CHECKPOINT_RULES: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['nodes/checkpoint'], verbs: ['create'] },
];
