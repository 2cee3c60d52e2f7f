// Reasons that a request of the cluster has of its own, before and around what happens on the node. Entries only.
import type { Reason } from './reason.ts';

export const REQUEST_REASONS = {
  Queued: {
    subject: 'Checkpoint',
    severity: 'Info',
    sentence: 'The request was accepted and waits for its turn.',
    remedy: 'Wait; queuePosition says how many are before it on the node.',
  },
  CheckpointRunning: {
    subject: 'Checkpoint',
    severity: 'Info',
    sentence: 'The node takes the checkpoint now.',
    remedy: 'Wait; timeoutSeconds bounds it for each container.',
  },
  InvalidRequest: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The request cannot be used as it is written.',
    remedy: 'Create another request, with the field that the message names corrected.',
  },
  PodNotFound: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'There is no pod of that name in the namespace of the request.',
    remedy: 'Name a pod of the same namespace.',
  },
  PodReplaced: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The pod of that name is another one than the request means.',
    remedy: 'Ask again with the UID of the pod that is there now, or without podUID.',
  },
  ContainerNotFound: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The pod has no container of that name.',
    remedy: 'Name containers of the pod, or none for all of them.',
  },
  NodeNotServed: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The node of the pod is not one that ghostlimit serves.',
    remedy:
      'Check the settings agent.nodeSelector and agent.tolerations, and that the agent of the node has reported (kubectl get checkpointnodes).',
  },
  NodeGone: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The node of the pod was removed from the cluster before the checkpoint was started.',
    remedy: 'Ask again for the pod that replaces it.',
  },
  Withdrawn: {
    subject: 'Checkpoint',
    severity: 'Warning',
    sentence: 'The request was taken back before the checkpoint was started.',
    remedy: 'Ask again once it is not being deleted and the setting removal is false.',
  },
  ArchiveDeletionWaits: {
    subject: 'Checkpoint',
    severity: 'Warning',
    sentence: 'The request is being deleted and waits for its node to delete the archives.',
    remedy:
      'Bring the node or its agent back; delete the Node object if it never returns; or remove the finalizer ghostlimit.dev/cleanup from the request, and the archives stay where they are.',
  },
} as const satisfies Record<string, Reason>;
