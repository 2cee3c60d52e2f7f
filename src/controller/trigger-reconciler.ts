// Makes the request that a pod's annotation asks for, once for each token. One duty: those requests; that a trigger was heard is written with the node's orders.
import { createHash } from 'node:crypto';
import type { NodeTrigger } from '../api/checkpoint-node.ts';
import { viewPod } from '../api/core-views.ts';
import { CHECKPOINT_REQUESTS, PODS } from '../api/kube-resources.ts';
import { CHECKPOINT_ANNOTATION } from '../api/names.ts';
import { triggerKey } from '../domain/requests/plan-node-orders.ts';
import { triggerRequest, triggerRequestName } from '../domain/requests/trigger-request.ts';
import { KubeApiError, type KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { CachedReport } from './cluster-view.ts';
import type { RequestView } from './request-view.ts';
import type { SettingsView } from './settings-view.ts';

export interface TriggerReconcilerParts {
  readonly kube: KubeApi;
  readonly view: RequestView;
  readonly settings: SettingsView;
  readonly log: Log;
}

/** Reconciles what the pods of the node named `nodeName` ask for. */
export function createTriggerReconciler(parts: TriggerReconcilerParts) {
  return async (nodeName: string, signal: AbortSignal): Promise<void> => {
    const report = parts.view.reports.store.get(nodeName);
    const settings = parts.settings.current();
    if (report === null || settings === null || settings.removal) return;
    for (const trigger of unheardTriggers(report)) {
      const { namespace } = trigger;
      const name = triggerRequestName(trigger);
      if (parts.view.requests.store.get(`${namespace}/${name}`) !== null) continue;
      if (!(await isAskedFor(trigger, nodeName, parts.kube, signal))) continue;
      await createOnce(trigger, parts.kube, signal);
      parts.log.info('checkpoint asked for by annotation', {
        namespace,
        pod: trigger.podName,
        request: name,
      });
    }
  };
}

function unheardTriggers({ spec, status }: CachedReport): NodeTrigger[] {
  const heard = new Set(spec?.acknowledgedTriggers.map(triggerKey));
  return (status?.triggers ?? []).filter((trigger) => !heard.has(triggerKey(trigger)));
}

/** By the pod itself: a node that is owned by somebody else must not ask for pods that do not ask, nor for those of other nodes. */
async function isAskedFor(
  { namespace, podName, podUID, tokenHash }: NodeTrigger,
  nodeName: string,
  kube: KubeApi,
  signal: AbortSignal,
): Promise<boolean> {
  if (!isName(namespace) || !isName(podName)) return false;
  const object = await kube.get(PODS, { namespace, name: podName }, signal);
  if (object === null) return false;
  const { metadata, spec } = viewPod(object);
  const token = metadata.annotations[CHECKPOINT_ANNOTATION] ?? '';
  return (
    metadata.uid === podUID && spec.nodeName === nodeName && token !== '' && hashOfToken(token) === tokenHash
  );
}

/** It becomes part of a path. */
function isName(text: string): boolean {
  return /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/.test(text);
}

const HASH_LENGTH = 32;

/** As agents do: the first 32 hexadecimal digits of SHA-256, without blanks around the token. */
export function hashOfToken(token: string): string {
  return createHash('sha256').update(token.trim()).digest('hex').slice(0, HASH_LENGTH);
}

async function createOnce(trigger: NodeTrigger, kube: KubeApi, signal: AbortSignal): Promise<void> {
  try {
    await kube.create(CHECKPOINT_REQUESTS, triggerRequest(trigger), signal);
  } catch (error) {
    if (!(error instanceof KubeApiError && error.reason === 'AlreadyExists')) throw error;
  }
}
