// What the API server's refusals mean to somebody who asked for a checkpoint, and what to do about each. Pure.
import { SYSTEM_NAMESPACE } from '../../api/names.ts';
import { KubeApiError, KubeUnreachable } from '../../ports/kube-api.ts';
import { CommandFailure } from '../output.ts';
import { shown } from './request-text.ts';

export interface AskedPlace {
  readonly namespace: string;
  /** "kubectl", with the words that lead to the same cluster. */
  readonly kubectl: string;
}

/** Why no request was created, or why that is not known. What is no answer of an API server is given back as it is. */
export function explainRefusal(error: unknown, place: AskedPlace): unknown {
  if (error instanceof KubeUnreachable) return new CommandFailure(unreachableText(error, place));
  if (error instanceof KubeApiError) return new CommandFailure(refusalText(error, place));
  return error;
}

/** The request is there and goes on, and only cannot be looked at. */
export function explainBlindness(error: unknown, requestName: string, place: AskedPlace): unknown {
  if (!(error instanceof KubeApiError)) return error;
  const hint =
    error.status === 403
      ? 'have get, list and watch of checkpointrequests granted (the ClusterRole view has them), or leave --wait out'
      : 'log in again if need be';
  return new CommandFailure(
    `${requestName} was created and goes on, but cannot be waited for: ${shown(error.message)}: ${hint}; see ${placed(place)} get ${requestName}`,
  );
}

/** kubectl for objects of that namespace. */
export function placed({ kubectl, namespace }: AskedPlace): string {
  return `${kubectl} -n ${namespace}`;
}

// Nothing was sent yet.
const NOT_CONNECTED =
  /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|certificate|CERT_|getaddrinfo|HTTP protocol is not allowed/i;

function unreachableText({ message }: KubeUnreachable, place: AskedPlace): string {
  const sentence = `the API server does not answer: ${shown(message)}`;
  if (NOT_CONNECTED.test(message))
    return `${sentence}: nothing was created; check --context and --kubeconfig, and try "${place.kubectl} cluster-info"`;
  return `${sentence}: whether the request was created is not known; see "${placed(place)} get checkpointrequests" before trying again`;
}

function refusalText(error: KubeApiError, place: AskedPlace): string {
  const message = shown(error.message);
  switch (error.status) {
    case 401:
      return `the API server does not know you: ${message}: log in again, or choose another --context`;
    case 403:
      return forbiddenText(message, place);
    case 404:
      return notFoundText(message, place);
    case 429:
      return `the API server has too much to do: ${message}: nothing was created; try again`;
    default:
      return `the API server refuses the request: ${message}`;
  }
}

/** A ValidatingAdmissionPolicy of ours says itself what to do; its names and the object's tell the user nothing. */
const OURS = /ValidatingAdmissionPolicy '[^']*\.ghostlimit\.dev'.* denied request: (.+)$/s;

function forbiddenText(message: string, { namespace }: AskedPlace): string {
  const ours = OURS.exec(message)?.[1];
  if (ours !== undefined) return `not allowed: ${ours}`;
  // Somebody else's policy, or a namespace that is going: only they know.
  if (!/cannot create resource/.test(message)) return `not allowed: ${message}`;
  return `not allowed: ${message}: have the ClusterRole edit (or ghostlimit-edit, with create of pods/exec) bound to you in the namespace ${namespace}`;
}

function notFoundText(message: string, { namespace, kubectl }: AskedPlace): string {
  if (message.startsWith('namespaces '))
    return `there is no namespace "${namespace}": "${kubectl} get namespaces" lists them`;
  return `this cluster does not know CheckpointRequests (${message}): install ghostlimit there ("${kubectl} apply --server-side -f deploy/install.yaml"), or choose another --context; see "${kubectl} get deployments -n ${SYSTEM_NAMESPACE}"`;
}
