// Keeps the DaemonSet of the agents as the settings want it. One duty: that it is there, ours, and goes with the operator.
import type { KubeObject, OwnerReference } from '../api/kube-object.ts';
import { DAEMON_SETS, DEPLOYMENTS } from '../api/kube-resources.ts';
import { AGENT_NAME, CONTROLLER_FIELD_MANAGER } from '../api/names.ts';
import type { OperatorSettings } from '../api/settings.ts';
import type { KubeApi } from '../ports/kube-api.ts';
import type { Log } from '../ports/log.ts';
import type { SettingsView } from './settings-view.ts';

export interface AgentRolloutReconcilerParts {
  readonly kube: KubeApi;
  readonly settings: SettingsView;
  /** The DaemonSet that the settings ask for, without an owner. Pure. */
  readonly wanted: (settings: OperatorSettings) => KubeObject;
  readonly namespace: string;
  /** The Deployment that runs this controller; null: none, as on a developer's machine. */
  readonly deploymentName: string | null;
  readonly log: Log;
}

/**
 * Fields that others own in the DaemonSet's spec are taken out, as they would be a second, unseen set of settings. Source of the exceptions: `kubectl rollout restart`
 * writes one annotation of the template as "kubectl-rollout", the DaemonSet controller writes status only.
 */
const TOLERATED_MANAGERS: ReadonlySet<string> = new Set([
  CONTROLLER_FIELD_MANAGER,
  'kubectl-rollout',
  'kube-controller-manager',
]);

export function createAgentRolloutReconciler(parts: AgentRolloutReconcilerParts) {
  return async (_key: string, signal: AbortSignal): Promise<void> => {
    const settings = parts.settings.current();
    // While everything is taken back the agents stay as they are: they are the ones who do it.
    if (settings === null || settings.removal) return;
    const wanted = await owned(parts.wanted(settings), parts, signal);
    const { kube, namespace, log } = parts;
    const applied = await kube.apply(DAEMON_SETS, wanted, {
      fieldManager: CONTROLLER_FIELD_MANAGER,
      force: true,
      signal,
    });
    const foreign = foreignManagers(applied);
    if (foreign.length === 0) return;
    log.warn('daemon set edited by others, put back', { namespace, name: AGENT_NAME, managers: foreign });
    const { resourceVersion, uid } = applied.metadata;
    const metadata = {
      ...wanted.metadata,
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(uid !== undefined && { uid }),
    };
    await kube.update(DAEMON_SETS, { ...wanted, metadata }, signal);
  };
}

/** With the Deployment of the controller as owner: deleting that deletes the agents. */
async function owned(
  daemonSet: KubeObject,
  { kube, namespace, deploymentName }: AgentRolloutReconcilerParts,
  signal: AbortSignal,
): Promise<KubeObject> {
  if (deploymentName === null) return daemonSet;
  const deployment = await kube.get(DEPLOYMENTS, { namespace, name: deploymentName }, signal);
  const uid = deployment?.metadata.uid;
  if (uid === undefined) return daemonSet;
  const owner: OwnerReference = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    name: deploymentName,
    uid,
    blockOwnerDeletion: false,
  };
  return { ...daemonSet, metadata: { ...daemonSet.metadata, ownerReferences: [owner] } };
}

interface ManagedFields {
  readonly manager?: unknown;
  readonly fieldsV1?: { readonly 'f:spec'?: unknown };
}

/** Who else owns fields of the spec. */
function foreignManagers({ metadata }: KubeObject): string[] {
  const { managedFields = [] } = metadata as { readonly managedFields?: readonly ManagedFields[] };
  return managedFields
    .filter(({ fieldsV1 }) => fieldsV1?.['f:spec'] !== undefined)
    .map(({ manager }) => String(manager))
    .filter((manager) => !TOLERATED_MANAGERS.has(manager));
}
