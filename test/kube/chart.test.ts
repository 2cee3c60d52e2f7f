// charts/ghostlimit through the real Helm: what it renders, what it refuses, and a release on a real API server.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { parseOperatorSettings } from '../../src/api/settings.ts';
import { startControlPlane, type ControlPlane } from '../../hack/kube/control-plane.ts';
import { ROOT } from './installed-plane.ts';

const CHART = join(ROOT, 'charts/ghostlimit');
const NAMESPACE = ['--namespace', 'ghostlimit-system'];

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly imagePullSecrets?: unknown;
}

let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane();
});

afterAll(async () => {
  await plane.stop();
});

async function render(...args: string[]): Promise<Rendered[]> {
  const text = await plane.helm(['template', 'ghostlimit', CHART, ...NAMESPACE, ...args]);
  return parseAllDocuments(text).flatMap((document) => {
    const object = document.toJS() as Rendered | null;
    return object === null ? [] : [object];
  });
}

const set = (...values: string[]): string[] => values.flatMap((value) => ['--set', value]);
const setJson = (value: string): string[] => ['--set-json', value];
const named = (objects: readonly Rendered[], kind: string, name = ''): Rendered | undefined =>
  objects.find((object) => object.kind === kind && object.metadata.name.includes(name));

test('lint finds nothing', async () => {
  expect(await plane.helm(['lint', '--strict', CHART])).toContain('1 chart(s) linted, 0 chart(s) failed');
});

describe('values', () => {
  test('the image by its digest', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const objects = await render(...set('image.repository=registry.example.com/g', `image.digest=${digest}`));
    const text = JSON.stringify(named(objects, 'Deployment'));
    expect(text.split(`registry.example.com/g@${digest}`)).toHaveLength(3);
  });

  test.each<[string, string[], boolean]>([
    ['auto', [], true],
    ['kubelet', set('settings.backend=kubelet'), true],
    ['cri', set('settings.backend=cri'), false],
    ['hardened', set('settings.profile=hardened'), true],
  ])('backend %s: the right to nodes/checkpoint', async (_name, args, wanted) => {
    const objects = await render(...args);
    expect(named(objects, 'ClusterRole', 'kubelet-checkpoint') !== undefined).toBe(wanted);
    expect(named(objects, 'ClusterRoleBinding', 'kubelet-checkpoint') !== undefined).toBe(wanted);
  });

  test('CRDs are kept, or not, or not there at all', async () => {
    const annotationsOf = async (...args: string[]) =>
      (await render(...args))
        .filter(({ kind }) => kind === 'CustomResourceDefinition')
        .map(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy']);
    expect(await annotationsOf()).toEqual(['keep', 'keep', 'keep', 'keep']);
    expect(await annotationsOf(...set('crds.keep=false'))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(await annotationsOf(...set('crds.enabled=false'))).toEqual([]);
  });

  test('settings reach the operator as they were meant, large numbers too', async () => {
    const objects = await render(
      ...setJson('settings.archives={"maxTotalSize":53687091201}'),
      ...setJson('settings.maxGhostLimit=1073741825'),
      ...setJson('settings.namespaces=["shop"]'),
      ...setJson('settings.agent={"tolerations":[],"maxUnavailable":3}'),
    );
    const text = named(objects, 'ConfigMap')?.data?.['settings.yaml'] ?? '';
    expect(parseOperatorSettings(parse(text))).toMatchObject({
      ok: true,
      settings: {
        maxGhostLimit: 1_073_741_825,
        archives: { maxTotalSize: 53_687_091_201 },
        namespaces: ['shop'],
        agent: { tolerations: [], maxUnavailable: 3 },
      },
    });
  });

  test('another namespace is named wherever it counts', async () => {
    const text = await plane.helm(['template', 'ghostlimit', CHART, '--namespace', 'tools']);
    expect(text).not.toContain('ghostlimit-system');
    expect(text).toContain(
      "request.userInfo.username != 'system:serviceaccount:tools:ghostlimit-controller'",
    );
  });

  test('a secret for the registry is for the agents too', async () => {
    const objects = await render(...setJson('imagePullSecrets=[{"name":"registry"}]'));
    const secrets = objects
      .filter(({ kind }) => kind === 'ServiceAccount')
      .map((account) => account.imagePullSecrets);
    expect(secrets).toEqual([[{ name: 'registry' }], [{ name: 'registry' }]]);
  });

  test.each<[string, string[], string]>([
    ['a misspelt value', set('replica=2'), 'replica'],
    ['a misspelt setting', set('settings.maxGhostLimits=2Mi'), 'maxGhostLimits'],
    ['no replica', set('replicas=0'), 'replicas'],
    ['another backend', set('settings.backend=docker'), 'backend'],
    ['a size that is none', set('settings.maxGhostLimit=3MB'), 'maxGhostLimit'],
    [
      'an option that is root code execution',
      set('settings.allowedCriuOptions={libdir}'),
      'allowedCriuOptions',
    ],
    ['a relative folder', set('settings.archives.directory=x'), 'directory'],
  ])('refused: %s', async (_name, args, told) => {
    await expect(render(...args)).rejects.toThrow(told);
  });
});

test('install, upgrade, uninstall: the policies stay', async () => {
  const objects = async (): Promise<string> =>
    await plane.kubectl(['get', 'deployment,configmap,clusterrole', '--all-namespaces', '--output', 'name']);
  await plane.helm(['install', 'ghostlimit', CHART, ...NAMESPACE, '--create-namespace']);
  expect(await objects()).toContain('deployment.apps/ghostlimit-controller');
  await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  await plane.kubectl(['create', '--filename', join(ROOT, 'deploy/samples/learned-limit.yaml')]);

  const settings = set('settings.removal=true', 'settings.maxGhostLimit=2Gi');
  await plane.helm(['upgrade', 'ghostlimit', CHART, ...NAMESPACE, '--reuse-values', ...settings]);
  const path = 'jsonpath={.data.settings\\.yaml}';
  const text = await plane.kubectl([
    'get',
    'configmap',
    'ghostlimit-settings',
    ...NAMESPACE,
    '--output',
    path,
  ]);
  expect(parseOperatorSettings(parse(text))).toEqual(
    parseOperatorSettings({ removal: true, maxGhostLimit: '2Gi' }),
  );

  await plane.helm(['uninstall', 'ghostlimit', ...NAMESPACE]);
  expect(await objects()).not.toContain('ghostlimit');
  expect(await plane.kubectl(['get', 'ckptpol', '--output', 'name', '--namespace', 'default'])).toBe(
    'checkpointpolicy.ghostlimit.dev/everything\n',
  );
});
