// Writes deploy/install.yaml, deploy/crds.yaml and deploy/remove.yaml from what `helm template` prints (standard input). `--check` fails when they are out of date.
import { text } from 'node:stream/consumers';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../api/kube-object.ts';
import { SETTINGS_CONFIG_MAP, SETTINGS_KEY, SYSTEM_NAMESPACE } from '../api/names.ts';
import { printYaml, putFiles } from './generated-file.ts';

/** What says that Helm keeps an object; nobody keeps these. */
const HELM_LABELS = ['app.kubernetes.io/managed-by', 'helm.sh/chart'];
const HELM_ANNOTATIONS = ['helm.sh/resource-policy'];

function withoutHelm(object: KubeObject): KubeObject {
  const { labels, annotations, ...metadata } = object.metadata;
  const kept = {
    labels: without(labels, HELM_LABELS),
    annotations: without(annotations, HELM_ANNOTATIONS),
  };
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(kept.labels !== null && { labels: kept.labels }),
      ...(kept.annotations !== null && { annotations: kept.annotations }),
    },
  };
}

/** null: nothing is left. */
function without(
  pairs: Readonly<Record<string, string>> | undefined,
  names: readonly string[],
): Record<string, string> | null {
  const left = Object.entries(pairs ?? {}).filter(([name]) => !names.includes(name));
  return left.length === 0 ? null : Object.fromEntries(left);
}

const NAMESPACE: KubeObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: SYSTEM_NAMESPACE,
    labels: {
      'app.kubernetes.io/name': 'ghostlimit',
      'app.kubernetes.io/part-of': 'ghostlimit',
      // The agents need host paths (Pod Security admission).
      'pod-security.kubernetes.io/enforce': 'privileged',
      'pod-security.kubernetes.io/audit': 'privileged',
      'pod-security.kubernetes.io/warn': 'privileged',
    },
  },
};

const REMOVAL: KubeObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: SETTINGS_CONFIG_MAP, namespace: SYSTEM_NAMESPACE },
  data: { [SETTINGS_KEY]: 'removal: true\n' },
};

const MADE = '# Made from charts/ghostlimit by "npm run manifests". Do not edit.\n';
const documents = (objects: readonly KubeObject[]): string => objects.map(printYaml).join('---\n');

const rendered = parseAllDocuments(await text(process.stdin))
  .map((document) => document.toJS() as KubeObject | null)
  .filter((object) => object !== null)
  .map(withoutHelm);
const crds = rendered.filter(({ kind }) => kind === 'CustomResourceDefinition');
if (crds.length === 0) throw new Error('standard input holds no CRD: is it what "helm template" printed?');

await putFiles(
  [
    {
      path: 'deploy/install.yaml',
      text: `${MADE}# The whole operator: kubectl apply --server-side -f deploy/install.yaml\n${documents([NAMESPACE, ...rendered])}`,
    },
    {
      path: 'deploy/crds.yaml',
      text: `${MADE}# The kinds alone, which install.yaml has too: kubectl apply --server-side -f deploy/crds.yaml\n${documents(crds)}`,
    },
    {
      path: 'deploy/remove.yaml',
      text: `${MADE}# Takes our lines back on every node, before the operator itself is deleted:\n#   kubectl apply --server-side --force-conflicts -f deploy/remove.yaml\n# The settings of install.yaml, applied again, bring them back.\n${documents([REMOVAL])}`,
    },
  ],
  { check: process.argv.includes('--check'), command: 'npm run manifests' },
);
