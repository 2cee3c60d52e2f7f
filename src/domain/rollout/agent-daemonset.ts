// The DaemonSet of the agents that the settings ask for. Pure; it knows nothing of what is there already.
import type { KubeObject } from '../../api/kube-object.ts';
import {
  AGENT_NAME,
  AGENT_POD_LABELS,
  CONTROLLER_NAME,
  DEFAULT_STATE_DIRECTORY,
  STATUS_PORT,
} from '../../api/names.ts';
import { kubeletCheckpoints, type NodeSettings, type OperatorSettings } from '../../api/settings.ts';

export interface AgentIdentity {
  readonly namespace: string;
  /** For agents whose image the settings do not say: that of the controller. */
  readonly image: string;
}

/** Where the agent finds the host's files; all other paths that it is told are the host's own. */
const HOST_ROOT = '/host';
/** Of containers of the CRI. There is no socket in it. */
const CONTAINERD_TASKS = '/run/containerd/io.containerd.runtime.v2.task/k8s.io';
/** A dump may take 600 s (timeoutSeconds), and an agent never leaves one alone. */
const GRACE_SECONDS = 630;

const LABELS = {
  ...AGENT_POD_LABELS,
  'app.kubernetes.io/part-of': 'ghostlimit',
  // Not Helm and not the user: tools that prune what they did not apply leave it alone.
  'app.kubernetes.io/managed-by': CONTROLLER_NAME,
} as const;

/** Gives the same object for the same settings, down to the order of its lists, and holds just the fields that the controller owns. No owner. */
export const agentDaemonSet =
  ({ namespace, image }: AgentIdentity) =>
  (settings: OperatorSettings): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: AGENT_NAME, namespace, labels: LABELS },
    spec: {
      selector: { matchLabels: AGENT_POD_LABELS },
      updateStrategy: {
        type: 'RollingUpdate',
        rollingUpdate: { maxUnavailable: settings.agent.maxUnavailable },
      },
      template: {
        metadata: {
          labels: LABELS,
          annotations: { 'kubectl.kubernetes.io/default-container': 'agent' },
        },
        spec: podSpec(settings, settings.agent.image ?? image),
      },
    },
  });

/**
 * What an agent is told at its start, for --settings-json: only what needs a restart anyway. Limits were compiled into the
 * plan, and what must hold at once (base limit, pause) stands in it (CheckpointPlan.spec.nodeSettings).
 */
export function agentSettings({
  files,
  backend,
  kubelet,
  profile,
  archives,
}: OperatorSettings): Pick<NodeSettings, 'files' | 'backend' | 'kubelet' | 'archives'> {
  return { files, backend: profile === 'hardened' ? 'kubelet' : backend, kubelet, archives };
}

function podSpec(settings: OperatorSettings, image: string): Record<string, unknown> {
  const { agent, profile } = settings;
  const rights = profile === 'privileged' ? PRIVILEGED : hardened(settings);
  return {
    serviceAccountName: AGENT_NAME,
    priorityClassName: 'system-node-critical',
    terminationGracePeriodSeconds: GRACE_SECONDS,
    enableServiceLinks: false,
    nodeSelector: agent.nodeSelector,
    tolerations: agent.tolerations,
    ...rights.pod,
    containers: [
      {
        name: 'agent',
        image,
        args: [
          'agent',
          ...['--host-root', HOST_ROOT, ...rights.args],
          ...['--settings-json', JSON.stringify(agentSettings(settings))],
          ...['--listen', `0.0.0.0:${STATUS_PORT.toString()}`],
        ],
        env: [fromField('NODE_NAME', 'spec.nodeName'), fromField('NODE_IP', 'status.hostIP')],
        ports: [{ name: 'metrics', containerPort: STATUS_PORT }],
        // A pass may wait for a slow disk of the host: only an agent that is silent for two minutes is started anew.
        livenessProbe: {
          httpGet: { path: '/healthz', port: 'metrics' },
          periodSeconds: 30,
          timeoutSeconds: 10,
          failureThreshold: 4,
        },
        readinessProbe: {
          httpGet: { path: '/readyz', port: 'metrics' },
          periodSeconds: 5,
          timeoutSeconds: 5,
        },
        resources: agent.resources,
        securityContext: { runAsUser: 0, runAsGroup: 0, readOnlyRootFilesystem: true, ...rights.container },
        volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }, ...rights.mounts],
      },
    ],
    volumes: [{ name: 'tmp', emptyDir: {} }, ...rights.volumes],
  };
}

function fromField(name: string, fieldPath: string): Record<string, unknown> {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

interface Rights {
  readonly args: readonly string[];
  readonly pod: Readonly<Record<string, unknown>>;
  readonly container: Readonly<Record<string, unknown>>;
  readonly mounts: readonly Readonly<Record<string, unknown>>[];
  readonly volumes: readonly Readonly<Record<string, unknown>>[];
}

/** /etc/criu, /proc and the runtime's socket on any distribution: the whole host. What is mounted there later is seen too. */
const PRIVILEGED: Rights = {
  args: [],
  pod: { hostPID: true },
  container: { privileged: true },
  mounts: [{ name: 'host', mountPath: HOST_ROOT, mountPropagation: 'HostToContainer' }],
  volumes: [{ name: 'host', hostPath: { path: '/', type: 'Directory' } }],
};

interface HostDirectory {
  readonly name: string;
  readonly path: string;
  readonly type: 'Directory' | 'DirectoryOrCreate' | 'File';
  readonly readOnly?: true;
}

/**
 * No privilege, no namespace of the host, no socket of a runtime; these directories only. Root on files that belong to
 * root needs no capability; the three are what looking into processes for ghost files needs.
 */
function hardened({ archives, kubelet }: OperatorSettings): Rights {
  const directories: readonly HostDirectory[] = [
    { name: 'criu', path: '/etc/criu', type: 'DirectoryOrCreate' },
    { name: 'state', path: DEFAULT_STATE_DIRECTORY, type: 'DirectoryOrCreate' },
    ...(archives.directory.startsWith(`${DEFAULT_STATE_DIRECTORY}/`)
      ? []
      : [{ name: 'archives', path: archives.directory, type: 'DirectoryOrCreate' } as const]),
    { name: 'kubelet-checkpoints', path: kubeletCheckpoints({ kubelet }), type: 'DirectoryOrCreate' },
    // The kubelet's serving certificate, against which its answers are verified.
    { name: 'kubelet-pki', path: `${kubelet.rootDirectory}/pki`, type: 'Directory', readOnly: true },
    ...(kubelet.caFile === null
      ? []
      : [{ name: 'kubelet-ca', path: kubelet.caFile, type: 'File', readOnly: true } as const]),
    { name: 'proc', path: '/proc', type: 'Directory', readOnly: true },
    // Whether a container is still frozen.
    { name: 'cgroup', path: '/sys/fs/cgroup', type: 'Directory', readOnly: true },
    // CRIU's log of a failed dump, which says why, and what containers were made with; empty where another runtime is used.
    { name: 'containerd-tasks', path: CONTAINERD_TASKS, type: 'DirectoryOrCreate', readOnly: true },
  ];
  return {
    args: ['--confined'],
    pod: {},
    container: {
      privileged: false,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'], add: ['CHECKPOINT_RESTORE', 'DAC_READ_SEARCH', 'SYS_PTRACE'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    mounts: directories.map(({ name, path, readOnly }) => ({
      name,
      mountPath: `${HOST_ROOT}${path}`,
      // /proc and /sys/fs/cgroup have mounts in them, which a plain readOnly leaves writable (measured): cgroup v1 whole.
      ...(readOnly === true && { readOnly, recursiveReadOnly: 'IfPossible' }),
    })),
    volumes: directories.map(({ name, path, type }) => ({ name, hostPath: { path, type } })),
  };
}
