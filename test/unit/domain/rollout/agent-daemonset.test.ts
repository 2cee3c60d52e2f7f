import { describe, expect, test } from '@jest/globals';
import {
  parseNodeSettings,
  parseOperatorSettings,
  type OperatorSettings,
} from '../../../../src/api/settings.ts';
import { agentDaemonSet, agentSettings } from '../../../../src/domain/rollout/agent-daemonset.ts';

const identity = { namespace: 'ghostlimit-system', image: 'docker.io/ghostlimit/ghostlimit:dev' };

function settingsOf(input: unknown): OperatorSettings {
  const parsed = parseOperatorSettings(input);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}

interface DaemonSetView {
  readonly spec: {
    readonly updateStrategy: unknown;
    readonly template: { readonly metadata: Readonly<Record<string, unknown>>; readonly spec: PodSpecView };
  };
}

interface PodSpecView {
  readonly hostPID?: boolean;
  readonly hostNetwork?: boolean;
  readonly nodeSelector: unknown;
  readonly tolerations: unknown;
  readonly containers: readonly ContainerView[];
  readonly volumes: readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string; readonly type: string };
  }[];
}

interface ContainerView {
  readonly image: string;
  readonly args: readonly string[];
  readonly resources: unknown;
  readonly securityContext: unknown;
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
    readonly recursiveReadOnly?: string;
  }[];
}

const daemonSetOf = (input: unknown): DaemonSetView =>
  agentDaemonSet(identity)(settingsOf(input)) as unknown as DaemonSetView;
const podOf = (input: unknown): PodSpecView => daemonSetOf(input).spec.template.spec;
function agentOf(input: unknown): ContainerView {
  const [agent] = podOf(input).containers;
  if (agent === undefined) throw new Error('no container');
  return agent;
}

test('with default settings', () => {
  const labels = {
    'app.kubernetes.io/name': 'ghostlimit',
    'app.kubernetes.io/component': 'agent',
    'app.kubernetes.io/part-of': 'ghostlimit',
    'app.kubernetes.io/managed-by': 'ghostlimit-controller',
  };
  expect(agentDaemonSet(identity)(settingsOf({}))).toEqual({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'ghostlimit-agent', namespace: 'ghostlimit-system', labels },
    spec: {
      selector: {
        matchLabels: { 'app.kubernetes.io/name': 'ghostlimit', 'app.kubernetes.io/component': 'agent' },
      },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '10%' } },
      template: {
        metadata: { labels, annotations: { 'kubectl.kubernetes.io/default-container': 'agent' } },
        spec: {
          serviceAccountName: 'ghostlimit-agent',
          priorityClassName: 'system-node-critical',
          terminationGracePeriodSeconds: 630,
          enableServiceLinks: false,
          hostPID: true,
          nodeSelector: { 'kubernetes.io/os': 'linux' },
          tolerations: [{ operator: 'Exists' }],
          containers: [
            {
              name: 'agent',
              image: 'docker.io/ghostlimit/ghostlimit:dev',
              args: [
                'agent',
                '--host-root',
                '/host',
                '--settings-json',
                '{"files":"auto","backend":"auto","kubelet":{"port":10250,"caFile":null,"rootDirectory":"/var/lib/kubelet"},"archives":{"directory":"/var/lib/ghostlimit/checkpoints","maxTotalSize":53687091200,"minFreePercent":15,"others":"keep"}}',
                '--listen',
                '0.0.0.0:9808',
              ],
              env: [
                { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
                { name: 'NODE_IP', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
              ],
              ports: [{ name: 'metrics', containerPort: 9808 }],
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
              resources: { requests: { cpu: '10m', memory: '96Mi' }, limits: { memory: '256Mi' } },
              securityContext: {
                runAsUser: 0,
                runAsGroup: 0,
                readOnlyRootFilesystem: true,
                privileged: true,
              },
              volumeMounts: [
                { name: 'tmp', mountPath: '/tmp' },
                { name: 'host', mountPath: '/host', mountPropagation: 'HostToContainer' },
              ],
            },
          ],
          volumes: [
            { name: 'tmp', emptyDir: {} },
            { name: 'host', hostPath: { path: '/', type: 'Directory' } },
          ],
        },
      },
    },
  });
});

describe('settings of the agent', () => {
  test.each<[string, unknown, (input: unknown) => unknown, unknown]>([
    [
      'image',
      { agent: { image: 'example.com/g@sha256:1' } },
      (input) => agentOf(input).image,
      'example.com/g@sha256:1',
    ],
    [
      'resources',
      { agent: { resources: { limits: { memory: '1Gi', cpu: 2 } } } },
      (input) => agentOf(input).resources,
      { requests: { cpu: '10m', memory: '96Mi' }, limits: { memory: '1Gi', cpu: 2 } },
    ],
    ['no tolerations', { agent: { tolerations: [] } }, (input) => podOf(input).tolerations, []],
    [
      'nodeSelector',
      { agent: { nodeSelector: { pool: 'java' } } },
      (input) => podOf(input).nodeSelector,
      { pool: 'java' },
    ],
    [
      'maxUnavailable',
      { agent: { maxUnavailable: 3 } },
      (input) => daemonSetOf(input).spec.updateStrategy,
      { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 3 } },
    ],
  ])('%s', (_key, input, part, wanted) => {
    expect(part(input)).toEqual(wanted);
  });
});

describe('what starts every agent anew', () => {
  const templateOf = (input: unknown): unknown => daemonSetOf(input).spec.template;

  test.each<[string, unknown]>([
    ['the cap', { maxGhostLimit: '2Gi' }],
    ['the base limit', { baseGhostLimit: '2Mi' }],
    ['the switch for incidents', { checkpointsPaused: true }],
    ['removal', { removal: true }],
    ['options', { allowedCriuOptions: ['FileLocks'] }],
    ['namespaces', { namespaces: ['shop'] }],
    ['the interval of schedules', { minimumScheduleIntervalSeconds: 60 }],
  ])('not %s', (_key, input) => {
    expect(templateOf(input)).toEqual(templateOf({}));
  });

  test.each<[string, unknown]>([
    ['files', { files: ['runc.conf'] }],
    ['backend', { backend: 'cri' }],
    ['the port of the kubelets', { kubelet: { port: 10_251 } }],
    ['archives', { archives: { minFreePercent: 20 } }],
    ['profile', { profile: 'hardened' }],
  ])('%s', (_key, input) => {
    expect(templateOf(input)).not.toEqual(templateOf({}));
  });
});

describe('profile hardened', () => {
  test('no privilege, and nothing of the host but the listed directories', () => {
    const { hostPID, hostNetwork, volumes, containers } = podOf({ profile: 'hardened' });
    expect([hostPID, hostNetwork]).toEqual([undefined, undefined]);
    expect(volumes.flatMap(({ hostPath }) => (hostPath === undefined ? [] : [hostPath]))).toEqual([
      { path: '/etc/criu', type: 'DirectoryOrCreate' },
      { path: '/var/lib/ghostlimit', type: 'DirectoryOrCreate' },
      { path: '/var/lib/kubelet/checkpoints', type: 'DirectoryOrCreate' },
      { path: '/var/lib/kubelet/pki', type: 'Directory' },
      { path: '/proc', type: 'Directory' },
      { path: '/sys/fs/cgroup', type: 'Directory' },
      { path: '/run/containerd/io.containerd.runtime.v2.task/k8s.io', type: 'DirectoryOrCreate' },
    ]);
    expect(containers.map(({ securityContext }) => securityContext)).toEqual([
      {
        runAsUser: 0,
        runAsGroup: 0,
        readOnlyRootFilesystem: true,
        privileged: false,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'], add: ['CHECKPOINT_RESTORE', 'DAC_READ_SEARCH', 'SYS_PTRACE'] },
        seccompProfile: { type: 'RuntimeDefault' },
      },
    ]);
  });

  test('what is only read is mounted so', () => {
    const { volumeMounts } = agentOf({ profile: 'hardened' });
    const onlyRead = volumeMounts.filter(({ readOnly }) => readOnly === true);
    expect(onlyRead.map(({ mountPath }) => mountPath)).toEqual([
      '/host/var/lib/kubelet/pki',
      '/host/proc',
      '/host/sys/fs/cgroup',
      '/host/run/containerd/io.containerd.runtime.v2.task/k8s.io',
    ]);
    // And the mounts below them.
    expect(onlyRead.map(({ recursiveReadOnly }) => recursiveReadOnly)).toEqual(
      onlyRead.map(() => 'IfPossible'),
    );
  });

  test('every mount has its volume', () => {
    const { volumes } = podOf({ profile: 'hardened', archives: { directory: '/data/checkpoints' } });
    const { volumeMounts } = agentOf({ profile: 'hardened', archives: { directory: '/data/checkpoints' } });
    expect(volumeMounts.map(({ name }) => name)).toEqual(volumes.map(({ name }) => name));
    expect(volumeMounts).toContainEqual({ name: 'archives', mountPath: '/host/data/checkpoints' });
  });

  test('the agent is told that it sees only a part of the host', () => {
    expect(agentOf({ profile: 'hardened' }).args).toContain('--confined');
    expect(agentOf({}).args).not.toContain('--confined');
  });

  test('an authority of the kubelets that the settings name is mounted', () => {
    const input = { profile: 'hardened', kubelet: { caFile: '/etc/kubernetes/kubelet-ca.crt' } };
    expect(podOf(input).volumes).toContainEqual({
      name: 'kubelet-ca',
      hostPath: { path: '/etc/kubernetes/kubelet-ca.crt', type: 'File' },
    });
  });

  test('a kubelet with another root directory', () => {
    const input = { profile: 'hardened', kubelet: { rootDirectory: '/var/lib/k0s/kubelet' } };
    expect(podOf(input).volumes).toEqual(
      expect.arrayContaining([
        {
          name: 'kubelet-checkpoints',
          hostPath: { path: '/var/lib/k0s/kubelet/checkpoints', type: 'DirectoryOrCreate' },
        },
        { name: 'kubelet-pki', hostPath: { path: '/var/lib/k0s/kubelet/pki', type: 'Directory' } },
      ]),
    );
  });

  test('checkpoints go through the kubelet', () => {
    expect(agentSettings(settingsOf({ profile: 'hardened' })).backend).toBe('kubelet');
  });
});

test('an agent reads what it is told', () => {
  const told: unknown = JSON.parse(
    JSON.stringify(agentSettings(settingsOf({ files: ['crun.conf'], backend: 'kubelet' }))),
  );
  expect(parseNodeSettings(told)).toMatchObject({
    ok: true,
    settings: { files: ['crun.conf'], backend: 'kubelet', archives: { maxTotalSize: 53_687_091_200 } },
  });
});
