// The request that the annotation of a pod asks for. Pure; its name makes sure that one token asks once.
import type { NodeTrigger } from '../../api/checkpoint-node.ts';
import { apiVersionOf, type KubeObject } from '../../api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../../api/kube-resources.ts';
import { TRIGGER_LABEL } from '../../api/names.ts';

/** What the label ghostlimit.dev/trigger says of such a request. */
export const ANNOTATION_TRIGGER = 'annotation';
/** Of the hash, in a name: two tokens of one pod with the same beginning do not happen. */
const HASH_CHARACTERS = 16;

export function triggerRequestName({ podUID, tokenHash }: Pick<NodeTrigger, 'podUID' | 'tokenHash'>): string {
  return `annotation-${podUID}-${tokenHash.slice(0, HASH_CHARACTERS)}`.toLowerCase();
}

export function triggerRequest({ namespace, podName, podUID, tokenHash }: NodeTrigger): KubeObject {
  return {
    apiVersion: apiVersionOf(CHECKPOINT_REQUESTS),
    kind: CHECKPOINT_REQUESTS.kind,
    metadata: {
      namespace,
      name: triggerRequestName({ podUID, tokenHash }),
      labels: { [TRIGGER_LABEL]: ANNOTATION_TRIGGER },
    },
    spec: { podName, podUID },
  };
}
