// Writes the parts of charts/ghostlimit that are made from the code: CRDs, roles, admission policies, values.schema.json. `--check` fails when they are out of date.
import { KIND_DEFINITIONS } from '../api/kinds.ts';
import type { KubeObject } from '../api/kube-object.ts';
import { admissionPolicies } from './admission-policies.ts';
import { chartValuesSchema } from './chart-values.ts';
import { crdOf } from './crd.ts';
import { printYaml, putFiles, type GeneratedFile } from './generated-file.ts';
import { kubeletCheckpointRoles, operatorRoles, userRoles } from './roles.ts';

const GENERATED = '{{- /* Made by "npm run chart". Do not edit. */ -}}\n';
const NAMESPACE = '{{ .Release.Namespace }}';
const LABELS = '{{- include "ghostlimit.labels" . | nindent 4 }}';

/** One document of a template. Our labels come first, so that those of the object win. */
function template({ metadata, ...rest }: KubeObject): string {
  const { labels = {}, ...others } = metadata;
  const { apiVersion, kind, ...content } = rest;
  const own = Object.entries(labels).map(([name, value]) => `    ${name}: ${JSON.stringify(value)}\n`);
  const indented = printYaml(others).replaceAll(/^/gm, '  ').trimEnd();
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n${indented}\n  labels:\n    ${LABELS}\n${own.join('')}${printYaml(content)}`;
}

const documents = (objects: readonly KubeObject[]): string => objects.map(template).join('---\n');

/** CRDs go into the chart as templates: Helm never upgrades what stands in a folder crds/. */
function crdTemplate(object: KubeObject): string {
  const { labels: _labels, ...metadata } = object.metadata;
  const text = template({ ...object, metadata });
  const keep =
    '  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n';
  return `{{- if .Values.crds.enabled }}\n${text.replace('  labels:\n', `${keep}  labels:\n`)}{{- end }}\n`;
}

const KUBELET =
  '{{- if or (eq .Values.settings.profile "hardened") (ne .Values.settings.backend "cri") }}\n---\n';

const folder = 'charts/ghostlimit';
const files: GeneratedFile[] = [
  ...KIND_DEFINITIONS.map((kind) => ({
    path: `${folder}/templates/crd-${kind.resource.plural}.yaml`,
    text: GENERATED + crdTemplate(crdOf(kind)),
  })),
  {
    path: `${folder}/templates/roles.yaml`,
    text: `${GENERATED}${documents([...operatorRoles(NAMESPACE), ...userRoles()])}${KUBELET}${documents(kubeletCheckpointRoles(NAMESPACE))}{{- end }}\n`,
  },
  {
    path: `${folder}/templates/admission-policies.yaml`,
    text: GENERATED + documents(admissionPolicies(NAMESPACE)),
  },
  { path: `${folder}/values.schema.json`, text: `${JSON.stringify(chartValuesSchema(), null, 2)}\n` },
];
await putFiles(files, { check: process.argv.includes('--check'), command: 'npm run chart' });
