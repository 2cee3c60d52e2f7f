// The kinds on a real API server: it takes their definitions, and judges every sample as zod does.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { KIND_DEFINITIONS } from '../../src/api/kinds.ts';
import type { KubeObject, KubeResource } from '../../src/api/kube-object.ts';
import { CHECKPOINT_NODES, CHECKPOINT_POLICIES, CHECKPOINT_REQUESTS } from '../../src/api/kube-resources.ts';
import { judgedKinds, type KindSample } from '../builders/judged-kinds.ts';
import {
  pathOf,
  ROOT,
  startInstalledPlane,
  type InstalledPlane,
  type StatusView,
} from './installed-plane.ts';

let plane: InstalledPlane;

beforeAll(async () => {
  plane = await startInstalledPlane('crds.yaml');
});

afterAll(async () => {
  await plane.stop();
});

const DRY_RUN = '?dryRun=All&fieldValidation=Strict';

async function dryRun(resource: KubeResource, body: unknown, namespace = 'default') {
  const path = `${pathOf(resource, { namespace })}${DRY_RUN}`;
  const { status, text } = await plane.request({ path, method: 'POST', body });
  return { status, answer: JSON.parse(text) as StatusView };
}

/** Where the server says that it is wrong; "<nil>" says only that rules were left out because of the other places. */
function fieldsOf({ details }: StatusView): string[] {
  const fields = (details?.causes ?? []).map(({ field = '' }) => field);
  return [...new Set(fields)].filter((field) => field !== '<nil>');
}

async function create(
  resource: KubeResource,
  object: Readonly<Record<string, unknown>>,
): Promise<KubeObject> {
  const { status, text } = await plane.request({ path: pathOf(resource), method: 'POST', body: object });
  expect([status, text]).toEqual([201, text]);
  return JSON.parse(text) as KubeObject;
}

test.each(KIND_DEFINITIONS.map(({ resource }) => [`${resource.plural}.${resource.group}`] as const))(
  '%s is established, and its schema is structural',
  async (name) => {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
    const { text } = await plane.request({ path });
    const { status } = JSON.parse(text) as { status: { conditions: { type: string; status: string }[] } };
    const conditions = Object.fromEntries(
      status.conditions.map((condition) => [condition.type, condition.status]),
    );
    expect(conditions).toEqual({ NamesAccepted: 'True', Established: 'True' });
  },
);

describe.each(judgedKinds().map((judged) => [judged.definition.resource.kind, judged] as const))(
  '%s: the server says what zod says',
  (_kind, { definition: { resource }, valid, invalid, unknown }) => {
    const named = (samples: readonly KindSample[]) => samples.map((sample) => [sample.name, sample] as const);

    test.each(named(valid))('right: %s', async (_name, { object }) => {
      const { status, answer } = await dryRun(resource, object);
      expect([status, answer.message]).toEqual([201, undefined]);
    });

    test.each(named(invalid))('wrong: %s', async (_name, { object, serverField }) => {
      const { status, answer } = await dryRun(resource, object);
      expect([status, fieldsOf(answer)]).toEqual([422, [serverField]]);
    });

    test('unknown fields', async () => {
      for (const { object, field } of unknown) {
        const { status, answer } = await dryRun(resource, object);
        expect([status, answer.message]).toEqual([400, expect.stringContaining(`unknown field "${field}"`)]);
      }
    });
  },
);

test('defaults of the server are those of zod', async () => {
  const { answer } = await dryRun(CHECKPOINT_POLICIES, {
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointPolicy',
    metadata: { name: 'defaults' },
    spec: {
      targets: [{ name: 'a', selector: {}, ghostLimit: { auto: {} } }],
      checkpoint: { schedule: '0 * * * *' },
    },
  });
  expect(answer).toMatchObject({
    spec: {
      mode: 'Enforce',
      scope: 'Node',
      targets: [{ name: 'a', selector: {}, ghostLimit: { auto: { minimum: '1Mi', headroomPercent: 25 } } }],
      checkpoint: {
        schedule: '0 * * * *',
        suspend: false,
        timeoutSeconds: 120,
        maxConcurrent: 5,
        historyLimit: 3,
      },
    },
  });
});

describe.each(
  judgedKinds().flatMap(({ definition, status, valid }) =>
    status === undefined
      ? []
      : [[definition.resource.kind, { definition, status, sample: valid[0] }] as const],
  ),
)('%s: status', (_kind, { definition: { resource }, status, sample }) => {
  const withName = (name: string): Readonly<Record<string, unknown>> => ({
    ...sample?.object,
    metadata: { name, ...(resource.namespaced && { namespace: 'default' }) },
  });

  test('a new object is not yet observed, whatever is sent with it', async () => {
    const object = await create(resource, { ...withName('status-new'), status });
    expect(object['status']).toEqual({ observedGeneration: -1 });
  });

  test('with every field filled in', async () => {
    const name = 'status-full';
    const { metadata, ...object } = await create(resource, withName(name));
    const path = `${pathOf(resource, { name })}/status?fieldValidation=Strict`;
    const body = { ...object, metadata, status };
    const { status: code, text } = await plane.request({ path, method: 'PUT', body });
    expect([code, JSON.parse(text)]).toMatchObject([200, { status }]);
  });

  test('a part of it', async () => {
    const name = 'status-part';
    const { metadata, ...object } = await create(resource, withName(name));
    const path = `${pathOf(resource, { name })}/status`;
    const conditions = (status['conditions'] as readonly unknown[]).slice(0, 1);
    const body = { ...object, metadata, status: { observedGeneration: 1, conditions } };
    const { status: code } = await plane.request({ path, method: 'PUT', body });
    expect(code).toBe(200);
  });
});

test('the spec of a request cannot be changed', async () => {
  const request = await create(CHECKPOINT_REQUESTS, {
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointRequest',
    metadata: { name: 'fixed', namespace: 'default' },
    spec: { podName: 'web-0' },
  });
  const path = pathOf(CHECKPOINT_REQUESTS, { name: 'fixed' });
  const changed = { ...request, spec: { ...(request['spec'] as object), timeoutSeconds: 60 } };
  const refused = await plane.request({ path, method: 'PUT', body: changed });
  expect(refused.status).toBe(422);
  expect(JSON.parse(refused.text)).toMatchObject({
    message: expect.stringContaining(
      'spec: Invalid value: is immutable: create another CheckpointRequest',
    ) as unknown,
  });
  const labelled = { ...request, metadata: { ...request.metadata, labels: { a: 'b' } } };
  expect((await plane.request({ path, method: 'PUT', body: labelled })).status).toBe(200);
});

test('objects can be selected by the fields of the API', async () => {
  const policy = (name: string, mode: string) => ({
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointPolicy',
    metadata: { name, namespace: 'default' },
    spec: { mode, targets: [{ name: 'all', selector: {} }] },
  });
  await create(CHECKPOINT_POLICIES, policy('selected-a', 'Audit'));
  await create(CHECKPOINT_POLICIES, policy('selected-b', 'Enforce'));
  const names = async (resource: string, selector: string): Promise<string> =>
    await plane.kubectl([
      'get',
      resource,
      '--field-selector',
      selector,
      '--output',
      'name',
      '--namespace',
      'default',
    ]);
  expect(await names('ckptpol', 'spec.mode=Audit')).toBe('checkpointpolicy.ghostlimit.dev/selected-a\n');
  expect(await names('ckptreq', 'spec.podName=nobody')).toBe('');
  expect(await names('ckptreq', 'status.nodeName=n7')).toBe('checkpointrequest.ghostlimit.dev/status-full\n');
});

test('kubectl shows the columns of the API', async () => {
  const row = async (resource: string, ...more: string[]): Promise<string[]> => {
    const text = await plane.kubectl(['get', resource, '--namespace', 'default', '--no-headers', ...more]);
    return text.trim().split(/ {2,}/);
  };
  const [policy, request, node] = await Promise.all([
    row('ckptpol', 'status-full', '--output', 'wide'),
    row('ckptreq', 'status-full'),
    row('ckptnode', 'status-full'),
  ]);
  expect(policy.filter((_cell, index) => index !== 4 && index !== 5)).toEqual([
    ...['status-full', 'True', '64Mi (Auto)', '10/12'],
    ...['Enforce', 'AllNodesInSync', 'in force on 2 nodes'],
  ]);
  expect(request.slice(0, -1)).toEqual([
    'status-full',
    'Failed',
    'GhostLimitExceeded',
    'web-0',
    'n7',
    '0.61',
  ]);
  expect(node.slice(0, -1)).toEqual([
    'status-full',
    'True',
    '3145728',
    'True',
    '4.2.1',
    'containerd://2.1.9',
    '0.1.0',
  ]);
});

test('kubectl get ghostlimit shows policies, requests and nodes', async () => {
  const text = await plane.kubectl(['get', 'ghostlimit', '--all-namespaces', '--output', 'name']);
  const kinds = new Set(
    text
      .trim()
      .split('\n')
      .map((line) => line.split('.')[0]),
  );
  expect([...kinds].sort()).toEqual(['checkpointnode', 'checkpointpolicy', 'checkpointrequest']);
});

test('kubectl explain says what a field is for', async () => {
  const text = await plane.kubectl(['explain', 'checkpointpolicy.spec.targets.ghostLimit.fixed']);
  expect(text).toContain('This limit. A quantity, 1Mi to 1Ti.');
});

describe('deploy/samples', () => {
  const folder = join(ROOT, 'deploy/samples');

  test.each(readdirSync(folder).map((file) => [file] as const))('%s applies', async (file) => {
    const documents = parseAllDocuments(readFileSync(join(folder, file), 'utf8'));
    expect(documents.length).toBeGreaterThan(0);
    for (const document of documents) {
      const object = document.toJS() as KubeObject;
      const definition = KIND_DEFINITIONS.find(({ resource }) => resource.kind === object.kind);
      if (definition === undefined) throw new Error(`${file}: there is no kind ${object.kind}`);
      const { status, answer } = await dryRun(definition.resource, object);
      expect([status, answer.message]).toEqual([201, undefined]);
    }
  });
});

test('a report without a limit leaves the cell empty', async () => {
  await create(CHECKPOINT_NODES, {
    apiVersion: 'ghostlimit.dev/v1alpha1',
    kind: 'CheckpointNode',
    metadata: { name: 'silent' },
  });
  const text = await plane.kubectl(['get', 'ckptnode', 'silent', '--no-headers']);
  expect(text.trim().split(/ {2,}/)).toHaveLength(2);
});
