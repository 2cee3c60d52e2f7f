// Tells from what a kubelet says to a checkpoint of nobody, or to a failed one, whether it could take any. Pure.
import type { RuntimeObstacle, RuntimeUnavailable } from '../../ports/container-runtime.ts';
import { GRPC } from './cri-connection.ts';
import { criObstacle } from './cri-obstacles.ts';
import { KubeletNotVerified, type KubeletAnswer } from './kubelet-connection.ts';

const OFF: RuntimeObstacle = {
  reason: 'FeatureGateOff',
  message: "The kubelet has no checkpoint API (it answered 404 before it looked at the caller's rights).",
  hint: 'Kubernetes 1.30 or newer has it by default: set the feature gate ContainerCheckpoint of the kubelet to true, and enableDebuggingHandlers too, then restart it.',
};

const UNKNOWN_CALLER: RuntimeObstacle = {
  reason: 'Unauthorized',
  message: "The kubelet does not accept the agent's token (401).",
  hint: 'Set authentication.webhook.enabled of the kubelet to true, and see that it reaches the API server.',
};

const FORBIDDEN: RuntimeObstacle = {
  reason: 'Unauthorized',
  message: 'The agent may not take checkpoints by the kubelet (403): it lacks create on nodes/checkpoint.',
  hint: 'Bind the ClusterRole ghostlimit-agent-kubelet-checkpoint to the ServiceAccount of the agents, or set backend to cri.',
};

/** Said to a pod that no node has. null: nothing stands in the way. Source of the texts: kubernetes pkg/kubelet/server, in the order of evaluation. */
export function probeObstacle({ status, body }: KubeletAnswer): RuntimeObstacle | null {
  switch (status) {
    case 401:
      return UNKNOWN_CALLER;
    case 403:
      return FORBIDDEN;
    case 404:
      // Go's own answer to a path that nobody serves; the kubelet's words are others.
      return body.trim() === '404 page not found' ? OFF : null;
    default:
      return status < 500 ? null : brokenProbe(status, body);
  }
}

function brokenProbe(status: number, body: string): RuntimeObstacle {
  return {
    reason: 'RuntimeUnavailable',
    message: `The kubelet answered ${status}: ${body.trim().slice(0, 512)}`,
    hint: 'See the log of the kubelet; it must reach the API server to check the rights of the agent.',
  };
}

/**
 * What a failed checkpoint says of all others too, where a probe cannot tell: the kubelet passes the words of the runtime on, which it asks last. null: nothing;
 * what a probe sees is left to the next one, which sees too when it is over.
 */
export function failureObstacle({ status, body }: KubeletAnswer): RuntimeObstacle | null {
  if (status !== 500) return null;
  const [, code, said = ''] = /rpc error: code = (\w+) desc = ([^]*)/.exec(body) ?? [];
  if (code === undefined) return null;
  return criObstacle(code === 'Unimplemented' ? GRPC.unimplemented : GRPC.unknown, said);
}

/** The kubelet cannot be reached, or cannot prove that it is the one. */
export function unreachableObstacle(problem: RuntimeUnavailable): RuntimeObstacle {
  if (problem instanceof KubeletNotVerified)
    return {
      reason: 'RuntimeUnavailable',
      message: `The serving certificate of the kubelet cannot be verified: ${problem.message}`,
      hint: 'With serverTLSBootstrap approve the certificate request of the node; renew a certificate that has expired by a restart of the kubelet; for one signed by others name their authority (setting kubelet.caFile).',
    };
  return {
    reason: 'RuntimeUnavailable',
    message: `The kubelet does not answer: ${problem.message}`,
    hint: 'Check that the kubelet runs and that pods of its node reach its port.',
  };
}
