// What every KubeApi must do, run against the fake and against a real kube-apiserver through the adapter. What they answer differently, the real one answers rightly.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { KubeObject, ObjectMetadata } from '../../src/api/kube-object.ts';
import { CONFIG_MAPS, NODES, PODS } from '../../src/api/kube-resources.ts';
import { KubeApiError } from '../../src/ports/kube-api.ts';
import type { KubeApi, WatchEvent, WatchOptions } from '../../src/ports/kube-api.ts';
import { aWidget, WIDGETS } from './widget-crd.ts';

export interface KubeWorld {
  /** May do everything. */
  readonly api: KubeApi;
  /** Exists, and is nobody else's. */
  readonly namespace: string;
  dispose(): Promise<void>;
}

/** A watch that has not shown what is waited for by then fails its test. */
const PATIENCE_MS = 60_000;

const TEST = { fieldManager: 'test' } as const;
const unforced = { ...TEST, force: false } as const;

export function kubeApiContract(name: string, makeWorld: () => Promise<KubeWorld>): void {
  describe(`KubeApi: ${name}`, () => {
    let world: KubeWorld;
    let api: KubeApi;
    let count = 0;
    /** Unused so far. */
    let ref: { namespace: string; name: string };
    const nextRef = (): typeof ref => {
      count += 1;
      return { namespace: world.namespace, name: `thing-${String(count).padStart(4, '0')}` };
    };
    /** Of a watch that runs beside all tests. */
    let bookmark: Promise<WatchEvent>;
    beforeAll(async () => {
      world = await makeWorld();
      ({ api } = world);
      bookmark = firstBookmark(api);
      // Awaited at the end; a failure before that belongs there too.
      bookmark.catch(() => undefined);
    });
    afterAll(() => world.dispose());
    beforeEach(() => {
      ref = nextRef();
    });

    const configMap = (data: Record<string, string>, metadata: Partial<ObjectMetadata> = {}): KubeObject => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...ref, ...metadata },
      data,
    });
    const widget = (spec: object, metadata: Partial<ObjectMetadata> = {}): KubeObject =>
      aWidget(ref, { metadata: { ...ref, ...metadata }, spec });
    const stored = async (): Promise<KubeObject> => {
      const object = (await api.get(WIDGETS, ref)) ?? (await api.get(CONFIG_MAPS, ref));
      if (object === null) throw new Error(`${ref.name} is not there`);
      return object;
    };

    describe('get', () => {
      test('null for what is not there', async () => {
        expect(await api.get(CONFIG_MAPS, ref)).toBeNull();
        expect(await api.get(WIDGETS, ref)).toBeNull();
        expect(await api.get(NODES, { name: 'no-such-node' })).toBeNull();
      });

      test('what was created', async () => {
        const created = await api.create(CONFIG_MAPS, configMap({ text: 'ü "\n' }));
        expect(await api.get(CONFIG_MAPS, ref)).toEqual(created);
        expect(created).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', data: { text: 'ü "\n' } });
      });

      test('a kind that the server does not know is an error, not an absence', async () => {
        const unknown = { ...WIDGETS, group: 'unknown.ghostlimit.dev' };
        await expect(api.get(unknown, ref)).rejects.toMatchObject({ name: 'KubeApiError', status: 404 });
        await expect(api.list(unknown, {})).rejects.toMatchObject({ status: 404 });
      });

      test.each(['', '.', '..', 'a/b', 'a%2fb', '../secrets/b'])(
        'the name %j never reaches a server',
        async (bad) => {
          const badRef = { ...ref, name: bad };
          await expect(api.get(CONFIG_MAPS, badRef)).rejects.toMatchObject({ status: 400 });
          await expect(api.delete(CONFIG_MAPS, badRef)).rejects.toMatchObject({ status: 400 });
        },
      );

      test('a name of odd characters is one segment of the path', async () => {
        expect(await api.get(CONFIG_MAPS, { ...ref, name: 'b?c=d#e f&ü' })).toBeNull();
      });

      test('namespaced kinds need a namespace, others have none', async () => {
        await expect(api.get(CONFIG_MAPS, { name: 'a' })).rejects.toMatchObject({ status: 400 });
        await expect(api.get(NODES, ref)).rejects.toMatchObject({ status: 400 });
        await expect(api.list(NODES, { namespace: ref.namespace })).rejects.toMatchObject({ status: 400 });
      });

      test('rejects with the reason of an aborted signal', async () => {
        const reason = new Error('given up');
        await expect(api.get(CONFIG_MAPS, ref, AbortSignal.abort(reason))).rejects.toBe(reason);
        await expect(api.list(CONFIG_MAPS, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      });
    });

    describe('create', () => {
      test('the server adds what it keeps, its defaults, and no status', async () => {
        const given = aWidget(ref, { spec: { color: 'red', unknown: 1 }, status: { phase: 'Made up' } });
        const object = await api.create(WIDGETS, given);
        expect(object).toMatchObject({ spec: { color: 'red', size: 1 }, status: { observedGeneration: -1 } });
        expect(object['spec']).not.toHaveProperty('unknown');
        expect(object['status']).not.toHaveProperty('phase');
        expect(object.metadata).toMatchObject({ ...ref, generation: 1 });
        expect(object.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
        expect(object.metadata.resourceVersion).toMatch(/^[1-9]\d*$/);
        expect(object.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      });

      test('what exists is 409 AlreadyExists', async () => {
        await api.create(WIDGETS, widget({}));
        const again = api.create(WIDGETS, widget({ color: 'red' }));
        await expect(again).rejects.toMatchObject({ status: 409, reason: 'AlreadyExists' });
        await expect(again).rejects.toBeInstanceOf(KubeApiError);
      });

      test('a name is made from generateName, another each time, and the answer has it', async () => {
        const { namespace } = ref;
        const unnamed = { ...configMap({ a: 'b' }), metadata: { namespace, generateName: `${ref.name}-` } };
        const first = await api.create(CONFIG_MAPS, unnamed);
        const second = await api.create(CONFIG_MAPS, unnamed);
        for (const { metadata } of [first, second]) {
          expect(metadata.name).toMatch(new RegExp(`^${ref.name}-[bcdfghjklmnpqrstvwxz2456789]{5}$`));
          expect(metadata.generateName).toBe(`${ref.name}-`);
        }
        expect(second.metadata.name).not.toBe(first.metadata.name);
        expect(await api.get(CONFIG_MAPS, first.metadata)).toEqual(first);
      });

      test('a made name has 63 characters at most', async () => {
        const generateName = `${ref.name}-${'x'.repeat(70)}`;
        const unnamed = aWidget(ref, { spec: {} });
        const metadata = { namespace: ref.namespace, generateName };
        const { name } = (await api.create(WIDGETS, { ...unnamed, metadata })).metadata;
        expect([name.slice(0, 58), name.length]).toEqual([generateName.slice(0, 58), 63]);
      });

      test('a name counts before generateName; without either it is 422', async () => {
        const given = widget({}, { generateName: 'other-' });
        expect((await api.create(WIDGETS, given)).metadata).toMatchObject({ ...ref, generateName: 'other-' });
        const { namespace } = ref;
        const invalid = { status: 422, reason: 'Invalid' };
        const nameless = api.create(WIDGETS, { ...given, metadata: { namespace, name: '' } });
        await expect(nameless).rejects.toMatchObject(invalid);
        const empty = api.create(WIDGETS, { ...given, metadata: { namespace, generateName: '' } });
        await expect(empty).rejects.toMatchObject(invalid);
      });

      test('another type than the path says is 400', async () => {
        const wrong = { ...configMap({}), kind: 'Secret' };
        await expect(api.create(CONFIG_MAPS, wrong)).rejects.toMatchObject({ status: 400 });
      });

      test('empty metadata is not written out', async () => {
        const object = await api.create(WIDGETS, widget({}, { labels: {}, annotations: {}, finalizers: [] }));
        for (const field of ['labels', 'annotations', 'finalizers'])
          expect(object.metadata).not.toHaveProperty(field);
      });
    });

    describe('list', () => {
      const made: KubeObject[] = [];
      const group = { labelSelector: 'group=list' };
      beforeAll(async () => {
        for (const [index, color] of ['red', 'green', 'red', 'blue', 'red'].entries()) {
          const metadata = { ...nextRef(), labels: { group: 'list', color, [`only-${index}`]: 'yes' } };
          made.push(await api.create(WIDGETS, aWidget(metadata, { metadata, spec: { color, size: index } })));
        }
      });
      const names = (objects: readonly KubeObject[]): string[] =>
        objects.map(({ metadata }) => metadata.name);
      const places = (objects: readonly KubeObject[]): number[] =>
        objects.map(({ metadata }) => names(made).indexOf(metadata.name));

      test('whole objects, with their type, sorted by name', async () => {
        const list = await api.list(WIDGETS, { namespace: world.namespace, ...group });
        expect(list.items).toEqual(made);
        expect(list.continueToken).toBeNull();
      });

      test('objects of built-in kinds have their type too', async () => {
        await api.create(CONFIG_MAPS, configMap({ a: 'b' }, { labels: { group: 'typed' } }));
        const { items } = await api.list(CONFIG_MAPS, { labelSelector: 'group=typed' });
        expect(items).toHaveLength(1);
        expect(items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', data: { a: 'b' } });
      });

      test('all namespaces, one, and one that is empty', async () => {
        expect(places((await api.list(WIDGETS, group)).items)).toEqual([0, 1, 2, 3, 4]);
        expect((await api.list(WIDGETS, { ...group, namespace: 'empty' })).items).toEqual([]);
      });

      test('any state of the cache is asked for with "0"', async () => {
        const list = await api.list(WIDGETS, { ...group, resourceVersion: '0' });
        expect(list.resourceVersion).toMatch(/^[1-9]\d*$/);
      });

      test.each([
        ['group=list,color=red', [0, 2, 4]],
        ['group==list,color!=red', [1, 3]],
        ['group=list,color in (green, blue)', [1, 3]],
        ['group=list,color notin (red)', [1, 3]],
        ['group=list,only-3', [3]],
        ['group=list,!only-3', [0, 1, 2, 4]],
        ['group=list,absent!=x', [0, 1, 2, 3, 4]],
        ['group=list,absent notin (x)', [0, 1, 2, 3, 4]],
        ['group=list,absent in (x)', []],
      ])('labels %j', async (labelSelector, expected) => {
        expect(places((await api.list(WIDGETS, { labelSelector })).items)).toEqual(expected);
      });

      test.each([
        ['spec.color=red', [0, 2, 4]],
        ['spec.color!=red', [1, 3]],
        ['spec.color==red,status.phase=', [0, 2, 4]],
        ['status.phase=Done', []],
      ])('fields %j', async (fieldSelector, expected) => {
        expect(places((await api.list(WIDGETS, { ...group, fieldSelector })).items)).toEqual(expected);
      });

      test('by name and by namespace', async () => {
        const fieldSelector = `metadata.name=${made[2]?.metadata.name ?? ''},metadata.namespace=${world.namespace}`;
        expect(places((await api.list(WIDGETS, { fieldSelector })).items)).toEqual([2]);
      });

      test('a field that the kind does not offer is 400', async () => {
        await expect(api.list(WIDGETS, { fieldSelector: 'spec.size=1' })).rejects.toMatchObject({
          status: 400,
        });
      });

      test('a selector that makes no sense is 400', async () => {
        await expect(api.list(WIDGETS, { labelSelector: 'a=b=c' })).rejects.toMatchObject({ status: 400 });
      });

      test('pages show one state, whatever happens meanwhile', async () => {
        const first = await api.list(WIDGETS, { ...group, limit: 2 });
        expect(places(first.items)).toEqual([0, 1]);
        const late = { ...nextRef(), labels: { group: 'list' } };
        await api.create(WIDGETS, aWidget(late, { metadata: late, spec: {} }));
        const second = await api.list(WIDGETS, {
          ...group,
          limit: 2,
          continueToken: first.continueToken ?? '',
        });
        const third = await api.list(WIDGETS, {
          ...group,
          limit: 2,
          continueToken: second.continueToken ?? '',
        });
        expect([places(second.items), places(third.items)]).toEqual([[2, 3], [4]]);
        expect(third.continueToken).toBeNull();
        expect([second.resourceVersion, third.resourceVersion]).toEqual([
          first.resourceVersion,
          first.resourceVersion,
        ]);
        await api.delete(WIDGETS, late);
      });
    });

    describe('update', () => {
      test('replaces the object and counts its generations', async () => {
        const first = await api.create(
          WIDGETS,
          widget({ color: 'red', tags: ['a'] }, { labels: { a: 'b' } }),
        );
        const second = await api.update(WIDGETS, { ...first, spec: { color: 'blue' } });
        expect(second['spec']).toEqual({ color: 'blue', size: 1 });
        expect(second.metadata).toMatchObject({ generation: 2, uid: first.metadata.uid });
        expect(second.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
        const third = await api.update(WIDGETS, {
          ...second,
          metadata: { ...second.metadata, labels: { c: 'd' } },
        });
        expect(third.metadata).toMatchObject({ generation: 2, labels: { c: 'd' } });
        expect(third.metadata.labels).not.toHaveProperty('a');
      });

      test('the same again is no new version', async () => {
        const first = await api.create(CONFIG_MAPS, configMap({ a: 'b' }));
        expect(await api.update(CONFIG_MAPS, first)).toEqual(first);
        // A custom object's defaults get stored with its first change only, whatever that is.
        const second = await api.update(WIDGETS, await api.create(WIDGETS, widget({ color: 'red' })));
        expect(await api.update(WIDGETS, second)).toEqual(second);
      });

      test('leaves the status alone', async () => {
        const first = await api.create(WIDGETS, widget({}));
        const second = await api.update(WIDGETS, { ...first, status: { phase: 'Made up' } });
        expect(second['status']).toEqual({ observedGeneration: -1 });
      });

      test('a stale version is 409 Conflict', async () => {
        const first = await api.create(WIDGETS, widget({}));
        await api.update(WIDGETS, { ...first, spec: { color: 'blue' } });
        await expect(api.update(WIDGETS, { ...first, spec: { color: 'red' } })).rejects.toMatchObject({
          status: 409,
          reason: 'Conflict',
        });
      });

      test('custom kinds need a version, configmaps do not', async () => {
        await api.create(WIDGETS, widget({}));
        await expect(api.update(WIDGETS, widget({ color: 'red' }))).rejects.toMatchObject({
          status: 422,
          reason: 'Invalid',
        });
        await api.create(CONFIG_MAPS, configMap({ a: 'b' }));
        expect(await api.update(CONFIG_MAPS, configMap({ a: 'c' }))).toMatchObject({ data: { a: 'c' } });
      });

      test('what is not there is 404', async () => {
        const gone = api.update(CONFIG_MAPS, configMap({}, { resourceVersion: '1' }));
        await expect(gone).rejects.toMatchObject({ status: 404, reason: 'NotFound' });
      });

      test('another uid is 409', async () => {
        const first = await api.create(CONFIG_MAPS, configMap({}));
        const metadata = { ...first.metadata, uid: '00000000-0000-4000-8000-0000000f0000' };
        await expect(api.update(CONFIG_MAPS, { ...first, metadata })).rejects.toMatchObject({ status: 409 });
      });
    });

    describe('mergePatch', () => {
      test('merges maps, replaces lists, removes what is null', async () => {
        await api.create(WIDGETS, widget({ color: 'red', steps: ['a', 'b'], box: { width: 1, height: 2 } }));
        const patched = await api.mergePatch(
          WIDGETS,
          ref,
          { spec: { color: null, steps: ['c'], box: { width: 3 } } },
          TEST,
        );
        expect(patched['spec']).toEqual({ size: 1, steps: ['c'], box: { width: 3, height: 2 } });
        expect(patched.metadata.generation).toBe(2);
      });

      test('of the status changes nothing else', async () => {
        await api.create(WIDGETS, widget({ color: 'red' }));
        const patch = {
          spec: { color: 'blue' },
          metadata: { labels: { a: 'b' } },
          status: { phase: 'Done' },
        };
        const patched = await api.mergePatch(WIDGETS, ref, patch, { ...TEST, subresource: 'status' });
        expect(patched).toMatchObject({
          spec: { color: 'red', size: 1 },
          status: { phase: 'Done', observedGeneration: -1 },
          metadata: { generation: 1 },
        });
        expect(patched.metadata).not.toHaveProperty('labels');
        const { items } = await api.list(WIDGETS, { fieldSelector: 'status.phase=Done' });
        expect(items.map(({ metadata }) => metadata.name)).toContain(ref.name);
      });

      test('a default comes back when its field is removed', async () => {
        await api.create(WIDGETS, widget({ size: 5 }));
        const patched = await api.mergePatch(WIDGETS, ref, { spec: { size: null }, status: null }, TEST);
        expect(patched).toMatchObject({ spec: { size: 1 }, status: { observedGeneration: -1 } });
      });

      test('a stale version in it is 409', async () => {
        const first = await api.create(WIDGETS, widget({}));
        await api.mergePatch(WIDGETS, ref, { spec: { color: 'blue' } }, TEST);
        const { resourceVersion = '' } = first.metadata;
        const stale = { metadata: { resourceVersion }, spec: { color: 'red' } };
        await expect(api.mergePatch(WIDGETS, ref, stale, TEST)).rejects.toMatchObject({
          status: 409,
          reason: 'Conflict',
        });
      });

      test('what is not there is 404, of the status too', async () => {
        const patch = { status: { phase: 'Done' } };
        await expect(api.mergePatch(WIDGETS, ref, patch, TEST)).rejects.toMatchObject({ status: 404 });
        await expect(
          api.mergePatch(WIDGETS, ref, patch, { ...TEST, subresource: 'status' }),
        ).rejects.toMatchObject({ status: 404 });
      });

      test('another name is refused', async () => {
        await api.create(CONFIG_MAPS, configMap({}));
        const renamed = api.mergePatch(CONFIG_MAPS, ref, { metadata: { name: 'other' } }, TEST);
        await expect(renamed).rejects.toMatchObject({ status: 400 });
      });
    });

    describe('apply', () => {
      test('bound to what was read: a stale resourceVersion is 409, and an object that is gone is not made again', async () => {
        const first = await api.apply(WIDGETS, widget({ color: 'red' }), unforced);
        const { uid = '', resourceVersion = '' } = first.metadata;
        const second = await api.apply(
          WIDGETS,
          widget({ color: 'blue' }, { uid, resourceVersion }),
          unforced,
        );
        expect(second['spec']).toMatchObject({ color: 'blue' });
        for (const subresource of [{}, { subresource: 'status' }] as const) {
          const stale = widget({ color: 'red' }, { resourceVersion });
          await expect(
            api.apply(WIDGETS, stale, { ...unforced, ...subresource, force: true }),
          ).rejects.toMatchObject({ status: 409, reason: 'Conflict' });
        }
        await api.delete(WIDGETS, ref);
        await expect(api.apply(WIDGETS, widget({ color: 'red' }, { uid }), unforced)).rejects.toMatchObject({
          status: 409,
          reason: 'Conflict',
        });
        expect(await api.get(WIDGETS, ref)).toBeNull();
      });

      test('creates, and changes what is there', async () => {
        const first = await api.apply(WIDGETS, widget({ color: 'red' }), unforced);
        expect(first).toMatchObject({ spec: { color: 'red', size: 1 }, metadata: { generation: 1 } });
        const second = await api.apply(WIDGETS, widget({ color: 'blue' }), unforced);
        expect(second).toMatchObject({ spec: { color: 'blue', size: 1 }, metadata: { generation: 2 } });
      });

      test('the same again is no new version', async () => {
        const wanted = widget({ color: 'red', parts: [{ name: 'a' }] });
        await api.apply(WIDGETS, wanted, unforced);
        const second = await api.apply(WIDGETS, wanted, unforced);
        expect(await api.apply(WIDGETS, wanted, unforced)).toEqual(second);
      });

      test('what a manager no longer applies goes, and no more than that', async () => {
        const labels = { mine: 'x', kept: 'y' };
        await api.apply(
          WIDGETS,
          widget({ color: 'red', steps: ['a'], tags: ['a', 'b'] }, { labels }),
          unforced,
        );
        await api.mergePatch(WIDGETS, ref, { spec: { box: { width: 1 } } }, { fieldManager: 'other' });
        const object = await api.apply(
          WIDGETS,
          widget({ tags: ['b', 'c'] }, { labels: { kept: 'y' } }),
          unforced,
        );
        expect(object['spec']).toEqual({ size: 1, tags: ['b', 'c'], box: { width: 1 } });
        expect(object.metadata.labels).toEqual({ kept: 'y' });
      });

      test('a map or a list that nothing is left in', async () => {
        await api.apply(
          WIDGETS,
          widget(
            { color: 'red', box: { width: 1 }, tags: ['a'], parts: [{ name: 'a' }] },
            { labels: { a: 'b' } },
          ),
          unforced,
        );
        const object = await api.apply(WIDGETS, widget({ color: 'red' }), unforced);
        expect(object['spec']).toEqual({ color: 'red', size: 1 });
        expect(object.metadata).not.toHaveProperty('labels');
      });

      test('another manager with another value is 409, unless forced', async () => {
        await api.apply(WIDGETS, widget({ color: 'red', size: 2 }), unforced);
        const other = { fieldManager: 'other', force: false };
        const conflict = api.apply(WIDGETS, widget({ color: 'blue' }), other);
        await expect(conflict).rejects.toMatchObject({ status: 409, reason: 'Conflict' });
        await expect(conflict).rejects.toThrow(/conflict with "test".*\.spec\.color/s);
        const forced = await api.apply(WIDGETS, widget({ color: 'blue' }), { ...other, force: true });
        expect(forced['spec']).toEqual({ color: 'blue', size: 2 });
        await expect(api.apply(WIDGETS, widget({ color: 'red', size: 2 }), unforced)).rejects.toMatchObject({
          status: 409,
        });
        const left = await api.apply(WIDGETS, widget({ size: 2 }), unforced);
        expect(left['spec']).toEqual({ color: 'blue', size: 2 });
      });

      test('the same value is owned by both, and goes with the last', async () => {
        const other = { fieldManager: 'other', force: false };
        await api.apply(WIDGETS, widget({ color: 'red' }), unforced);
        await api.apply(WIDGETS, widget({ color: 'red' }), other);
        expect((await api.apply(WIDGETS, widget({}), unforced))['spec']).toEqual({ color: 'red', size: 1 });
        expect((await api.apply(WIDGETS, widget({}), other))['spec']).toEqual({ size: 1 });
      });

      test('a patch by the same name is another owner', async () => {
        await api.apply(WIDGETS, widget({ color: 'red' }), unforced);
        await api.mergePatch(WIDGETS, ref, { spec: { color: 'blue' } }, TEST);
        await expect(api.apply(WIDGETS, widget({ color: 'red' }), unforced)).rejects.toMatchObject({
          status: 409,
        });
        expect((await api.apply(WIDGETS, widget({}), unforced))['spec']).toEqual({ color: 'blue', size: 1 });
      });

      test('items of a list map are owned one by one', async () => {
        const other = { fieldManager: 'other', force: false };
        await api.apply(
          WIDGETS,
          widget({
            parts: [
              { name: 'a', weight: 1 },
              { name: 'b', weight: 2 },
            ],
          }),
          unforced,
        );
        await api.apply(
          WIDGETS,
          widget({
            parts: [
              { name: 'c', weight: 3 },
              { name: 'b', note: 'mine' },
            ],
          }),
          other,
        );
        expect((await stored())['spec']).toMatchObject({
          parts: [
            { name: 'a', weight: 1 },
            { name: 'c', weight: 3 },
            { name: 'b', weight: 2, note: 'mine' },
          ],
        });
        await api.apply(WIDGETS, widget({ parts: [] }), unforced);
        expect((await stored())['spec']).toEqual({
          parts: [
            { name: 'c', weight: 3 },
            { name: 'b', note: 'mine' },
          ],
          size: 1,
        });
      });

      test('applied items come in the order of the applied list', async () => {
        const parts = (...names: string[]): object => ({ parts: names.map((item) => ({ name: item })) });
        const other = { fieldManager: 'other', force: false };
        await api.apply(WIDGETS, widget({ ...parts('a', 'b', 'c'), tags: ['x', 'y'] }), unforced);
        const object = await api.apply(
          WIDGETS,
          widget({ ...parts('c', 'd', 'a'), tags: ['z', 'y', 'x'] }),
          other,
        );
        expect(object['spec']).toEqual({ size: 1, ...parts('b', 'c', 'd', 'a'), tags: ['z', 'y', 'x'] });
      });

      test('an atomic list has one owner', async () => {
        const other = { fieldManager: 'other', force: false };
        await api.apply(WIDGETS, widget({ steps: ['a', 'b'] }), unforced);
        await expect(api.apply(WIDGETS, widget({ steps: ['c'] }), other)).rejects.toMatchObject({
          status: 409,
        });
        const forced = await api.apply(WIDGETS, widget({ steps: ['c'] }), { ...other, force: true });
        expect(forced['spec']).toEqual({ size: 1, steps: ['c'] });
      });

      test('of the status', async () => {
        const status = { phase: 'Done', conditions: [{ type: 'Ready', status: 'True' }] };
        const report = aWidget(ref, { status });
        const options = { ...unforced, subresource: 'status' } as const;
        await expect(api.apply(WIDGETS, report, options)).rejects.toMatchObject({ status: 404 });
        await api.apply(WIDGETS, widget({ color: 'red' }), unforced);
        const done = await api.apply(WIDGETS, report, options);
        expect(done).toMatchObject({
          spec: { color: 'red', size: 1 },
          status: { ...status, observedGeneration: -1 },
          metadata: { generation: 1 },
        });
        await api.apply(WIDGETS, widget({ color: 'red' }), unforced);
        expect((await stored())['status']).toEqual({ ...status, observedGeneration: -1 });
        const less = await api.apply(WIDGETS, aWidget(ref, { status: { observedGeneration: 1 } }), options);
        expect(less['status']).toEqual({ observedGeneration: 1 });
      });

      test('a dry run changes nothing', async () => {
        const planned = await api.apply(WIDGETS, widget({ color: 'red' }), { ...unforced, dryRun: true });
        expect(planned['spec']).toEqual({ color: 'red', size: 1 });
        expect(await api.get(WIDGETS, ref)).toBeNull();
      });

      test('a finalizer of ours beside that of another', async () => {
        await api.apply(WIDGETS, widget({}, { finalizers: ['ghostlimit.dev/one'] }), unforced);
        await api.apply(WIDGETS, widget({}, { finalizers: ['ghostlimit.dev/two'] }), {
          fieldManager: 'other',
          force: false,
        });
        expect((await stored()).metadata.finalizers).toEqual(['ghostlimit.dev/one', 'ghostlimit.dev/two']);
        await api.apply(WIDGETS, widget({}), unforced);
        expect((await stored()).metadata.finalizers).toEqual(['ghostlimit.dev/two']);
      });
    });

    describe('delete', () => {
      test('true, and false for what is not there', async () => {
        await api.create(CONFIG_MAPS, configMap({}));
        expect(await api.delete(CONFIG_MAPS, ref)).toBe(true);
        expect(await api.delete(CONFIG_MAPS, ref)).toBe(false);
        expect(await api.get(CONFIG_MAPS, ref)).toBeNull();
      });

      test('of another uid is 409', async () => {
        const object = await api.create(WIDGETS, widget({}));
        const uid = '00000000-0000-4000-8000-0000000f0000';
        await expect(api.delete(WIDGETS, ref, { uid })).rejects.toMatchObject({
          status: 409,
          reason: 'Conflict',
        });
        expect(await api.delete(WIDGETS, ref, { uid: object.metadata.uid ?? '' })).toBe(true);
      });

      test('waits for finalizers', async () => {
        const finalizers = ['ghostlimit.dev/test'];
        await api.create(WIDGETS, widget({ color: 'red' }, { finalizers }));
        expect(await api.delete(WIDGETS, ref)).toBe(true);
        const deleting = await stored();
        expect(deleting.metadata).toMatchObject({ finalizers, generation: 2, deletionGracePeriodSeconds: 0 });
        expect(deleting.metadata.deletionTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        expect(await api.delete(WIDGETS, ref)).toBe(true);
        expect((await stored()).metadata.resourceVersion).toBe(deleting.metadata.resourceVersion);

        const more = { metadata: { finalizers: [...finalizers, 'ghostlimit.dev/late'] } };
        await expect(api.mergePatch(WIDGETS, ref, more, TEST)).rejects.toMatchObject({
          status: 422,
          reason: 'Invalid',
        });
        await expect(api.create(WIDGETS, widget({}))).rejects.toMatchObject({ status: 409 });
        const changed = await api.mergePatch(WIDGETS, ref, { spec: { color: 'blue' } }, TEST);
        expect(changed.metadata.generation).toBe(3);

        await api.mergePatch(WIDGETS, ref, { metadata: { finalizers: null } }, TEST);
        expect(await api.get(WIDGETS, ref)).toBeNull();
      });

      test('in the foreground leaves it to the garbage collector', async () => {
        const finalizers = ['ghostlimit.dev/test'];
        await api.create(CONFIG_MAPS, configMap({}, { finalizers }));
        await api.delete(CONFIG_MAPS, ref, { propagationPolicy: 'Foreground' });
        expect((await stored()).metadata.finalizers).toContain('ghostlimit.dev/test');
        await api.mergePatch(CONFIG_MAPS, ref, { metadata: { finalizers: null } }, TEST);
        expect(await api.get(CONFIG_MAPS, ref)).toBeNull();
      });
    });

    describe('watch', () => {
      const now = async (): Promise<string> => (await api.list(WIDGETS, {})).resourceVersion;
      const options = (more: Partial<WatchOptions> & { resourceVersion: string }): WatchOptions => ({
        namespace: world.namespace,
        timeoutSeconds: 300,
        signal: AbortSignal.timeout(PATIENCE_MS),
        ...more,
      });
      /** The first `wanted` events that are no bookmarks. */
      const take = async (watch: AsyncIterable<WatchEvent>, wanted: number): Promise<WatchEvent[]> => {
        const events: WatchEvent[] = [];
        for await (const event of watch) {
          if (event.type !== 'BOOKMARK') events.push(event);
          if (events.length === wanted) break;
        }
        return events;
      };
      const brief = (events: readonly WatchEvent[]): string[] =>
        events.map(({ type, object }) => {
          const spec = object['spec'] as { color?: string } | undefined;
          return `${type} ${spec?.color ?? '-'}`;
        });
      const paint = (color: string): Promise<KubeObject> =>
        api.mergePatch(WIDGETS, ref, { spec: { color } }, TEST);

      test('each change from a version on, in order', async () => {
        const resourceVersion = await now();
        const created = await api.create(WIDGETS, widget({ color: 'red' }));
        const patched = await paint('blue');
        await api.delete(WIDGETS, ref);
        const events = await take(api.watch(WIDGETS, options({ resourceVersion })), 3);
        expect(brief(events)).toEqual(['ADDED red', 'MODIFIED blue', 'DELETED blue']);
        expect(events.slice(0, 2).map(({ object }) => object)).toEqual([created, patched]);
        const versions = events.map(({ object }) => Number(object.metadata.resourceVersion));
        expect(versions).toEqual(versions.toSorted((one, other) => one - other));
        expect(new Set(versions).size).toBe(3);
        const later = await take(api.watch(WIDGETS, options({ resourceVersion: String(versions[1]) })), 1);
        expect(brief(later)).toEqual(['DELETED blue']);
      });

      test('live', async () => {
        const watched = take(api.watch(WIDGETS, options({ resourceVersion: await now() })), 2);
        await api.create(WIDGETS, widget({ color: 'red' }));
        await paint('blue');
        expect(brief(await watched)).toEqual(['ADDED red', 'MODIFIED blue']);
      });

      test('with labels: what begins to match is added, what no longer does is deleted', async () => {
        const resourceVersion = await now();
        const label = (watched: string | null): Promise<KubeObject> =>
          api.mergePatch(WIDGETS, ref, { metadata: { labels: { watched } } }, TEST);
        await api.create(WIDGETS, widget({ color: 'red' }));
        await label('yes');
        await paint('blue');
        await label(null);
        await paint('green');
        await label('yes');
        await api.delete(WIDGETS, ref);
        const events = await take(
          api.watch(WIDGETS, options({ resourceVersion, labelSelector: 'watched=yes' })),
          5,
        );
        expect(brief(events)).toEqual([
          'ADDED red',
          'MODIFIED blue',
          'DELETED blue',
          'ADDED green',
          'DELETED green',
        ]);
      });

      test('with fields: the deleted object carries its old values, at the new version', async () => {
        const resourceVersion = await now();
        await api.create(WIDGETS, widget({ color: 'red' }));
        const blue = await paint('blue');
        const events = await take(
          api.watch(WIDGETS, options({ resourceVersion, fieldSelector: 'spec.color=red' })),
          2,
        );
        expect(brief(events)).toEqual(['ADDED red', 'DELETED red']);
        expect(events[1]?.object.metadata.resourceVersion).toBe(blue.metadata.resourceVersion);
      });

      test('of one name', async () => {
        const resourceVersion = await now();
        const other = nextRef();
        await api.create(WIDGETS, aWidget(other, { spec: { color: 'black' } }));
        await api.create(WIDGETS, widget({ color: 'red' }));
        const fieldSelector = `metadata.name=${ref.name}`;
        const events = await take(api.watch(WIDGETS, options({ resourceVersion, fieldSelector })), 1);
        expect(brief(events)).toEqual(['ADDED red']);
      });

      test('the end of finalizers', async () => {
        const resourceVersion = await now();
        await api.create(WIDGETS, widget({}, { finalizers: ['ghostlimit.dev/test'] }));
        await api.delete(WIDGETS, ref);
        await api.mergePatch(WIDGETS, ref, { metadata: { finalizers: null } }, TEST);
        const events = await take(api.watch(WIDGETS, options({ resourceVersion })), 3);
        expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
        expect(events[2]?.object.metadata).toHaveProperty('deletionTimestamp');
        // The last change is never stored: what is shown is what was there before.
        expect(events[2]?.object.metadata.finalizers).toEqual(['ghostlimit.dev/test']);
      });

      test('begins with what is there, from "0"', async () => {
        await api.create(WIDGETS, widget({ color: 'red' }));
        const fieldSelector = `metadata.name=${ref.name}`;
        const events = await take(api.watch(WIDGETS, options({ resourceVersion: '0', fieldSelector })), 1);
        expect(brief(events)).toEqual(['ADDED red']);
      });

      test('ends in time', async () => {
        const resourceVersion = await now();
        await api.create(WIDGETS, widget({ color: 'red' }));
        const events = await take(api.watch(WIDGETS, options({ resourceVersion, timeoutSeconds: 2 })), 9);
        expect(brief(events)).toEqual(['ADDED red']);
      });

      test('a version that is too old is 410 Expired', async () => {
        const old = take(api.watch(WIDGETS, options({ resourceVersion: '1' })), 1);
        await expect(old).rejects.toMatchObject({ name: 'KubeApiError', status: 410, reason: 'Expired' });
      });

      test('an abort rejects with its reason, before and after it began', async () => {
        const reason = new Error('given up');
        const before = options({ resourceVersion: await now(), signal: AbortSignal.abort(reason) });
        await expect(take(api.watch(WIDGETS, before), 1)).rejects.toBe(reason);

        const controller = new AbortController();
        const { signal } = controller;
        const events = api.watch(WIDGETS, options({ resourceVersion: await now(), signal }));
        const watch = events[Symbol.asyncIterator]();
        const first = watch.next();
        await api.create(WIDGETS, widget({}));
        await first;
        const second = watch.next();
        controller.abort(reason);
        await expect(second).rejects.toBe(reason);
      });

      test('a field that the kind does not offer is 400', async () => {
        const wrong = options({ resourceVersion: await now(), fieldSelector: 'spec.size=1' });
        await expect(take(api.watch(WIDGETS, wrong), 1)).rejects.toMatchObject({ status: 400 });
      });

      test('an unknown kind is 404', async () => {
        const unknown = { ...WIDGETS, plural: 'gadgets' };
        const watch = api.watch(unknown, options({ resourceVersion: '0' }));
        await expect(take(watch, 1)).rejects.toMatchObject({ status: 404 });
      });
    });

    describe('pods', () => {
      const pod = (nodeName: string): KubeObject => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: ref,
        spec: { nodeName, containers: [{ name: 'app', image: 'x' }] },
      });

      test('by node and phase', async () => {
        await api.create(PODS, pod('node-a'));
        ref = nextRef();
        await api.create(PODS, pod('node-b'));
        const onB = { namespace: world.namespace, fieldSelector: 'spec.nodeName=node-b' };
        expect((await api.list(PODS, onB)).items.map(({ metadata }) => metadata.name)).toEqual([ref.name]);
        await api.mergePatch(
          PODS,
          ref,
          { status: { phase: 'Succeeded' } },
          { ...TEST, subresource: 'status' },
        );
        const finished = { fieldSelector: 'spec.nodeName=node-b,status.phase=Succeeded' };
        expect((await api.list(PODS, finished)).items.map(({ metadata }) => metadata.name)).toEqual([
          ref.name,
        ]);
        expect((await api.list(PODS, { ...onB, fieldSelector: 'status.phase=Failed' })).items).toEqual([]);
      });

      test('a status changes no generation, a label neither', async () => {
        const created = await api.create(PODS, pod('node-c'));
        const patched = await api.mergePatch(
          PODS,
          ref,
          { status: { phase: 'Running' } },
          { ...TEST, subresource: 'status' },
        );
        const labelled = await api.mergePatch(PODS, ref, { metadata: { labels: { a: 'b' } } }, TEST);
        expect([created, patched, labelled].map(({ metadata }) => metadata.generation)).toEqual([1, 1, 1]);
      });
    });

    test('a watch gets bookmarks, about each minute', async () => {
      const { object } = await bookmark;
      expect(object).toMatchObject({ apiVersion: 'contract.ghostlimit.dev/v1', kind: 'Widget' });
      expect(object.metadata.resourceVersion).toMatch(/^[1-9]\d*$/);
    }, 200_000);
  });
}

async function firstBookmark(api: KubeApi): Promise<WatchEvent> {
  const { resourceVersion } = await api.list(WIDGETS, {});
  const signal = AbortSignal.timeout(180_000);
  for await (const event of api.watch(WIDGETS, { resourceVersion, timeoutSeconds: 180, signal }))
    if (event.type === 'BOOKMARK') return event;
  throw new Error('the watch ended without a bookmark');
}
