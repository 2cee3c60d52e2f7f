// What the words of `kubectl ghostlimit checkpoint` come to as a CheckpointRequest. Asks no server: whether the pod is there the controller says.
import type { OnGhostLimit, SkippableCheck } from '../../api/checkpoint-request.ts';
import { apiVersionOf, type UnnamedKubeObject } from '../../api/kube-object.ts';
import { CHECKPOINT_REQUESTS } from '../../api/kube-resources.ts';
import { printable } from '../../api/printable.ts';
import { CommandFailure, EXIT } from '../output.ts';

/** What is absent or empty is left to the defaults of the API. */
export interface CheckpointWish {
  /** As kubectl takes it: NAME, pod/NAME. */
  readonly pod: string;
  readonly namespace: string;
  readonly containerNames: readonly string[];
  readonly containerTimeoutSeconds?: number;
  readonly startDeadlineSeconds?: number;
  readonly onGhostLimit?: OnGhostLimit;
  readonly skipChecks: readonly SkippableCheck[];
  readonly keepArchive: boolean;
}

const MAX_CONTAINERS = 16;
const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** The object to create; its name is the server's to make. Throws CommandFailure (usage) for names that no pod, container or namespace can have. */
export function newRequest(wish: CheckpointWish): UnnamedKubeObject {
  const podName = podNameOf(wish.pod);
  checkLabel('namespace', wish.namespace, '"kubectl get namespaces" lists them');
  const containerNames = [...new Set(wish.containerNames)];
  for (const name of containerNames)
    checkLabel('container', name, `"kubectl -n ${wish.namespace} describe pod ${podName}" lists them`);
  if (containerNames.length > MAX_CONTAINERS)
    throw usage(
      `-c names ${containerNames.length} containers: at most ${MAX_CONTAINERS} go into one request`,
    );
  const { containerTimeoutSeconds, startDeadlineSeconds, onGhostLimit, skipChecks, keepArchive } = wish;
  return {
    apiVersion: apiVersionOf(CHECKPOINT_REQUESTS),
    kind: CHECKPOINT_REQUESTS.kind,
    metadata: { generateName: nameStart(podName), namespace: wish.namespace },
    spec: {
      podName,
      ...(containerNames.length > 0 && { containerNames }),
      ...(containerTimeoutSeconds !== undefined && { timeoutSeconds: containerTimeoutSeconds }),
      ...(startDeadlineSeconds !== undefined && { startDeadlineSeconds }),
      ...(onGhostLimit !== undefined && { onGhostLimit }),
      ...(skipChecks.length > 0 && { skipChecks: [...new Set(skipChecks)] }),
      ...(keepArchive && { archivePolicy: 'Retain' }),
    },
  };
}

function podNameOf(words: string): string {
  const [kind, name] = words.includes('/') ? splitOnce(words) : ['pod', words];
  if (!['pod', 'pods', 'po'].includes(kind))
    throw usage(
      `"${printable(words, 300)}": a checkpoint is taken of a pod, not of a ${printable(kind, 63)}: name one that "kubectl get pods" lists`,
    );
  if (name.length > 253 || !DNS_SUBDOMAIN.test(name))
    throw usage(
      `"${printable(name, 300)}" cannot be the name of a pod: lower-case letters, digits, "-" and ".", at most 253; "kubectl get pods" lists them`,
    );
  return name;
}

function splitOnce(words: string): [string, string] {
  const slash = words.indexOf('/');
  return [words.slice(0, slash), words.slice(slash + 1)];
}

function checkLabel(what: string, name: string, hint: string): void {
  if (DNS_LABEL.test(name)) return;
  throw usage(
    `"${printable(name, 300)}" cannot be the name of a ${what}: lower-case letters, digits and "-", at most 63; ${hint}`,
  );
}

/** The server adds five characters and keeps the whole within 63. Source: k8s.io/apiserver pkg/storage/names. */
function nameStart(podName: string): string {
  return `${podName.slice(0, 57).replace(/[-.]+$/, '')}-`;
}

const usage = (message: string): CommandFailure => new CommandFailure(message, EXIT.usage);
