// What the controller may do. Manifests and tests read this; the program does not.
import type { Rights } from '../api/rbac.ts';
import { AGENT_NAME, CONTROLLER_NAME, GROUP, SETTINGS_CONFIG_MAP } from '../api/names.ts';

export const CONTROLLER_RIGHTS: Rights = {
  cluster: [
    // patch: our finalizer. Spec is the users'.
    {
      apiGroups: [GROUP],
      resources: ['checkpointpolicies'],
      verbs: ['get', 'list', 'watch', 'patch'],
    },
    // create: by schedule and by annotation. delete: what has lived long enough. patch: our finalizer.
    {
      apiGroups: [GROUP],
      resources: ['checkpointrequests'],
      verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    },
    {
      apiGroups: [GROUP],
      resources: ['checkpointpolicies/status', 'checkpointrequests/status'],
      verbs: ['patch'],
    },
    // Their status is the agents'.
    {
      apiGroups: [GROUP],
      resources: ['checkpointplans', 'checkpointnodes'],
      verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    },
    { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
    // Listed by selector when a policy changes or a schedule is due; never watched.
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] },
    { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
  ],
  ownNamespace: [
    // The agents' pods.
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
    {
      apiGroups: [''],
      resources: ['configmaps'],
      verbs: ['get', 'list', 'watch'],
      resourceNames: [SETTINGS_CONFIG_MAP],
    },
    // A name cannot bind `create`. Whoever may write DaemonSets here is root on the nodes: in this namespace only.
    { apiGroups: ['apps'], resources: ['daemonsets'], verbs: ['create'] },
    {
      apiGroups: ['apps'],
      resources: ['daemonsets'],
      verbs: ['get', 'list', 'watch', 'update', 'patch', 'delete'],
      resourceNames: [AGENT_NAME],
    },
    // The owner of the DaemonSet.
    { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get'], resourceNames: [CONTROLLER_NAME] },
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      verbs: ['get', 'list', 'watch', 'update', 'patch'],
      resourceNames: [CONTROLLER_NAME],
    },
  ],
};
