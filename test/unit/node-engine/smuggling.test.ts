// Only a typed integer or a listed boolean may ever reach a CRIU file. Here every field that somebody else fills in is filled with lines that must not get there.
import { describe, expect, test } from '@jest/globals';
import { Command } from 'commander';
import fc from 'fast-check';
import { CRIU_OPTION_LINES, CRIU_OPTION_NAMES } from '../../../src/api/criu-option.ts';
import { splitManagedBlock } from '../../../src/domain/criu-conf/managed-block.ts';
import { addSettingsFlags, settingsFromFlags } from '../../../src/host-flags.ts';
import { aPolicyDocument, aTarget } from '../../builders/policies.ts';
import { FakeNode, RUNC_CONF } from '../../fakes/fake-node.ts';

const SMUGGLED: readonly string[] = [
  '\naction-script /x',
  'x\naction-script /x\n',
  '3Mi\nlibdir /x',
  '3145728\r\nlibdir /x',
  'action-script /x',
  'libdir',
  '"action-script" /x',
  "'libdir' /x",
  '# END ghostlimit\naction-script /x',
  '#',
  '\0action-script /x',
  '\u2028libdir /x',
  '\u0085libdir /x',
  'TcpClose\naction-script /x',
  'tcp-close\nlibdir /x',
];
/** What a number field may be filled with instead. */
const ODD_NUMBERS: readonly unknown[] = [
  NaN,
  Infinity,
  -0,
  1e21,
  1.5,
  2 ** 53,
  2n ** 70n,
  '1e3',
  [3],
  { toString: '3' },
  true,
  null,
];

const STATEMENTS = new Set<string>(Object.values(CRIU_OPTION_LINES));
const FOREIGN = '# theirs\nlink-remap\n';

/** The file is foreign bytes, or those and a block of nothing but a plain limit and listed switches. */
function expectClean(node: FakeNode): void {
  const text = node.conf ?? FOREIGN;
  const { foreign, block } = splitManagedBlock(Buffer.from(text));
  expect(Buffer.from(foreign).toString()).toBe(FOREIGN);
  if (block === null) return;
  expect(block.intact).toBe(true);
  for (const line of node.ownLines)
    if (!STATEMENTS.has(line)) expect(line).toMatch(/^ghost-limit [1-9][0-9]{0,12}$/);
  expect(text).not.toMatch(/action-script|libdir|\0|\u2028|\u0085|"|'/);
}

const WHOLE = {
  apiVersion: 'ghostlimit.dev/v1alpha1',
  kind: 'CheckpointPolicy',
  metadata: { name: 'p', namespace: 'default', uid: 'u', generation: 1 },
  spec: {
    mode: 'Enforce',
    scope: 'Node',
    targets: [
      {
        name: 'a',
        selector: {
          matchLabels: { app: 'web' },
          matchExpressions: [{ key: 'app', operator: 'In', values: ['web'] }],
        },
        containerNames: ['web'],
        ghostLimit: { fixed: '3Mi' },
      },
      {
        name: 'b',
        selector: {},
        ghostLimit: { auto: { minimum: '1Mi', maximum: '16Mi', headroomPercent: 25 } },
      },
      { name: 'c', workloadRef: { apiGroup: 'apps', kind: 'Deployment', name: 'web' } },
    ],
    criuOptions: ['TcpClose'],
    checkpoint: {
      schedule: '0 * * * *',
      timeZone: 'Etc/UTC',
      suspend: false,
      startingDeadlineSeconds: 1,
      timeoutSeconds: 5,
      maxConcurrent: 1,
      historyLimit: 1,
      retention: { keepLast: 1, maxAgeSeconds: 1, maxTotalSize: '1Gi' },
    },
  },
};

type Path = readonly (string | number)[];

/** Every leaf of a document, and every key, as places to put something. */
function placesIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) =>
    placesIn(inner, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}

function withValue(value: unknown, [key, ...rest]: Path, put: unknown): unknown {
  if (key === undefined) return put;
  if (Array.isArray(value))
    return value.map((inner: unknown, index) => (index === key ? withValue(inner, rest, put) : inner));
  return { ...(value as object), [key]: withValue((value as Record<string, unknown>)[key], rest, put) };
}

/** The same place with `key` in the place of its last key. */
function withKey(value: unknown, path: Path, key: string): unknown {
  const last = path.at(-1);
  const parent = path
    .slice(0, -1)
    .reduce<unknown>((inner, step) => (inner as Record<string | number, unknown>)[step], value);
  if (typeof last !== 'string') return value;
  const { [last]: moved, ...others } = parent as Record<string, unknown>;
  return withValue(value, path.slice(0, -1), { ...others, [key]: moved });
}

async function aNode(settings: Record<string, unknown> = {}): Promise<FakeNode> {
  const node = new FakeNode(
    { [RUNC_CONF]: FOREIGN },
    { allowedCriuOptions: [...CRIU_OPTION_NAMES], ...settings },
  );
  node.run('web', {}, { app: 'web' });
  await node.pass();
  return node;
}

/** The way through: engine with its scans, then a checkpoint, then the engine again; the file is looked at after each step and in the dump. */
async function goAllTheWay(node: FakeNode): Promise<void> {
  const engine = node.startEngine();
  await engine.reconcile();
  expectClean(node);
  await engine.scanDue();
  await engine.reconcile();
  expectClean(node);
  const limit = node.runtime.ghostLimitBytes;
  node.runtime.ghostLimitBytes = () => {
    expectClean(node);
    return limit();
  };
  node.clock.jump(1);
  const [container] = await node.runtime.list();
  await node.checkpoint(container?.id ?? '');
  expectClean(node);
  node.runtime.ghostLimitBytes = limit;
}

describe('a policy', () => {
  const usable = withValue(WHOLE, ['spec', 'targets', 2], aTarget({ name: 'c', ghostLimit: undefined }));
  const places = [
    ...placesIn(usable).map((path) => [path.join('.'), usable, path] as const),
    ...placesIn(WHOLE)
      .filter((path) => path.includes('workloadRef'))
      .map((path) => [path.join('.'), WHOLE, path] as const),
  ];

  test('the document that is tampered with is in force when it is not', async () => {
    const node = await aNode();
    node.folder.put('a.yaml', [usable]);
    await node.pass();
    expect(node.ownLines).toEqual(['ghost-limit 3145728', 'tcp-close']);
  });

  test.each(places)('%s', async (_name, whole, path) => {
    const node = await aNode();
    for (const put of [...SMUGGLED, ...ODD_NUMBERS]) {
      node.folder.put('a.yaml', [withValue(whole, path, put)]);
      await goAllTheWay(node);
    }
  });

  test('in the place of any key', async () => {
    const node = await aNode();
    for (const path of placesIn(usable))
      for (const key of SMUGGLED) {
        node.folder.put('a.yaml', [withKey(usable, path, key)]);
        await node.pass();
        expectClean(node);
      }
  });

  test('in any text of YAML, and in the name of its file', async () => {
    const node = await aNode();
    const text = fc.tuple(fc.constantFrom(...SMUGGLED), fc.constantFrom('plain', 'quoted', 'block'));
    await fc.assert(
      fc.asyncProperty(text, async ([put, how]) => {
        const value = how === 'quoted' ? JSON.stringify(put) : how === 'block' ? `|\n        ${put}` : put;
        node.folder.put(`${put}.yaml`, `${JSON.stringify(aPolicyDocument())}\n`);
        node.folder.put(
          'a.yaml',
          `apiVersion: ghostlimit.dev/v1alpha1\nkind: CheckpointPolicy\nmetadata: {name: x}\nspec:\n  targets:\n  - name: t\n    selector: {}\n    ghostLimit:\n      fixed: ${value}\n`,
        );
        await node.pass();
        expectClean(node);
        node.folder.remove(`${put}.yaml`);
      }),
    );
  });
});

describe('settings and flags', () => {
  const flags = [
    '--max-ghost-limit',
    '--base-ghost-limit',
    '--allowed-criu-options',
    '--namespaces',
    '--archives-directory',
  ];

  test.each(flags)('%s', async (flag) => {
    for (const put of [...SMUGGLED, ...SMUGGLED.map((text) => `FileLocks,${text}`)]) {
      const command = addSettingsFlags(new Command());
      const node = await aNode();
      node.folder.put('a.yaml', [aPolicyDocument({ criuOptions: ['FileLocks'] })]);
      command.parse(['node', 'ghostlimit', flag, put]);
      try {
        node.settings = settingsFromFlags(command.opts());
      } catch {
        continue;
      }
      await goAllTheWay(node);
    }
  });
});

describe('containers', () => {
  test('names, ids, labels with their keys and values, annotations and ghost files', async () => {
    for (const put of SMUGGLED) {
      const node = new FakeNode({ [RUNC_CONF]: FOREIGN });
      node.folder.put('a.yaml', [aPolicyDocument({ targets: [aTarget({ ghostLimit: { auto: {} } })] })]);
      const labels = {
        [put]: put,
        'io.kubernetes.pod.name': put,
        'io.kubernetes.container.name': put,
        'io.kubernetes.pod.uid': put,
      };
      const { pid } = node.runtime.add({ id: put, name: put, labels, criuConfigAnnotation: put }, [
        { path: put, bytes: 2 ** 22 },
      ]);
      node.holds(pid ?? 0, { [put]: 2 ** 22 });
      await goAllTheWay(node);
      expect(node.ownLines).toEqual(['ghost-limit 5242880']);
    }
  });

  test('a scan that reports nonsense', async () => {
    for (const bytes of [NaN, -1, 1.5, Infinity, 2 ** 60]) {
      const node = new FakeNode({ [RUNC_CONF]: FOREIGN });
      node.folder.put('a.yaml', [
        aPolicyDocument({ targets: [aTarget({ ghostLimit: { auto: { maximum: '16Mi' } } })] }),
      ]);
      const { pid } = node.runtime.add({ id: 'web' });
      node.holds(pid ?? 0, { '/tmp/a': bytes });
      await goAllTheWay(node).catch(() => undefined);
      expectClean(node);
    }
  });
});

describe('documents of the state folder that somebody tampered with', () => {
  const lines = { ghostLimitBytes: 4_194_304, options: ['FileLocks'], decidedBy: 'x' };
  const policy = {
    namespace: 'default',
    name: 'p',
    uid: '',
    generation: 0,
    mode: 'Enforce',
    scope: 'Node',
    options: ['FileLocks'],
    targets: [{ name: 't', selector: {}, limitBytes: 4_194_304 }],
  };
  const documents: readonly (readonly [string, unknown])[] = [
    ['desired.json', lines],
    ['dump-lease.json', { ...lines, containerId: 'c', takenAt: 't' }],
    ['last-good-plan.json', { 'a.yaml': [policy] }],
    ['runtimes.json', ['docker']],
    ['origin-etc.criu.runc.conf.json', { hadFile: true, hadDirectory: true }],
  ];

  test.each(documents)('%s', async (name, document) => {
    const puts = [...SMUGGLED, ...ODD_NUMBERS.filter((value) => typeof value !== 'bigint'), -5, 0, 2 ** 41];
    for (const path of [[], ...placesIn(document)])
      for (const put of puts) {
        const node = await aNode();
        // The engine and the policies are away: what stands is decided by the documents alone.
        node.runtime.available = false;
        node.folder.put('a.yaml', 'not: [valid');
        await node.state.write(name, Buffer.from(JSON.stringify(withValue(document, path, put))));
        await node.state.asProcess(7).lock('dump', 0);
        await node.pass();
        expectClean(node);
        node.state.kill(7);
        node.runtime.available = true;
        await goAllTheWay(node);
      }
  });

  test.each(documents)('%s that is no JSON', async (name) => {
    const node = await aNode();
    await node.state.write(name, Buffer.from('\naction-script /x\n'));
    await goAllTheWay(node);
  });
});
