import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { PlanRetention } from '../../../../src/api/checkpoint-plan.ts';
import {
  archivesToDelete,
  type KeptArchive,
  type NodeBounds,
  type RetentionQuestion,
} from '../../../../src/domain/checkpoint/retention.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.parse('2026-11-23T10:00:00Z');
const DISK = 1;

/** Made `minutes` ago by policy shop/p in container app of pod a, which is here; 100 bytes. */
function archive(name: string, minutes: number, changes: Partial<KeptArchive> = {}): KeptArchive {
  return {
    path: `/archives/${name}`,
    device: DISK,
    sizeBytes: 100,
    createdMs: NOW_MS - minutes * 60_000,
    pinned: false,
    ours: true,
    policy: 'shop/p',
    podUID: 'a',
    containerName: 'app',
    podHere: true,
    ...changes,
  };
}

const ROOMY: NodeBounds = {
  maxTotalSizeBytes: 2 ** 40,
  minFreePercent: 0,
  spaces: new Map(),
  others: 'keep',
};

function ask(
  archives: readonly KeptArchive[],
  retention: PlanRetention | null,
  node: Partial<NodeBounds> = {},
): RetentionQuestion {
  const policies = new Map(retention === null ? [] : [['shop/p', retention]]);
  return { archives, policies, node: { ...ROOMY, ...node }, nowMs: NOW_MS };
}

/** Their names, in the order in which they go. */
function gone(...question: Parameters<typeof ask>): string[] {
  return archivesToDelete(ask(...question)).map(({ archive: { path } }) => path.slice('/archives/'.length));
}

const FIVE = [5, 4, 3, 2, 1].map((minutes) => archive(`m${minutes}`, minutes));

describe('keepLast', () => {
  test('leaves exactly so many, the newest', () => {
    expect(gone(FIVE, { keepLast: 3 })).toEqual(['m5', 'm4']);
    expect(gone(FIVE, { keepLast: 1 })).toEqual(['m5', 'm4', 'm3', 'm2']);
    expect(gone(FIVE, { keepLast: 5 })).toEqual([]);
    expect(gone(FIVE.toReversed(), { keepLast: 3 })).toEqual(['m5', 'm4']);
  });

  test('says why', () => {
    expect(archivesToDelete(ask(FIVE, { keepLast: 4 }))).toEqual([
      { archive: FIVE[0], reason: 'policy shop/p keeps the last 4 of the container' },
    ]);
  });

  test('counts for each container of each pod', () => {
    const archives = [
      archive('app-old', 9),
      archive('app-new', 8),
      archive('side-old', 7, { containerName: 'side' }),
      archive('side-new', 6, { containerName: 'side' }),
      archive('b-old', 5, { podUID: 'b' }),
      archive('b-new', 4, { podUID: 'b' }),
    ];
    expect(gone(archives, { keepLast: 1 })).toEqual(['app-old', 'side-old', 'b-old']);
  });

  test('counts nothing of other policies, of no policy, and of others', () => {
    const archives = [
      archive('p-old', 9),
      archive('p-new', 8),
      archive('other', 2, { policy: 'shop/q' }),
      archive('by-hand', 1, { policy: null }),
      archive('foreign', 0, { ours: false, policy: 'shop/p' }),
    ];
    expect(gone(archives, { keepLast: 1 }, { others: 'manage' })).toEqual(['p-old']);
    expect(gone(archives, { keepLast: 2 }, { others: 'manage' })).toEqual([]);
  });

  test('a pinned one takes its place and stays, also beyond it', () => {
    const archives = FIVE.map((one) => ({
      ...one,
      pinned: one.path.endsWith('m2') || one.path.endsWith('m5'),
    }));
    expect(gone(archives, { keepLast: 2 })).toEqual(['m4', 'm3']);
  });

  test('of two of one moment the path decides, the same each time', () => {
    const archives = [archive('y', 1), archive('x', 1)];
    expect(gone(archives, { keepLast: 1 })).toEqual(['x']);
    expect(gone(archives.toReversed(), { keepLast: 1 })).toEqual(['x']);
  });
});

describe('age', () => {
  const week = { maxAgeSeconds: 7 * 86_400 };
  const eight = archive('eight', 8 * 1440);
  const six = archive('six', 6 * 1440);

  test('alone it lets go what is older, whether the pod is here or not', () => {
    expect(gone([eight, six], week)).toEqual(['eight']);
    expect(gone([{ ...eight, podHere: false }, six], week)).toEqual(['eight']);
    expect(archivesToDelete(ask([eight], week))[0]?.reason).toBe(
      'it is older than maxAgeSeconds 604800 of policy shop/p',
    );
  });

  test('exactly so old is not older', () => {
    expect(gone([archive('edge', 7 * 1440)], week)).toEqual([]);
  });

  test('the last ones of a pod that is here are safe from it', () => {
    expect(gone([eight, six], { ...week, keepLast: 2 })).toEqual([]);
    expect(gone([eight, six], { ...week, keepLast: 1 })).toEqual(['eight']);
  });

  test('once the pod is gone only age counts: keepLast neither deletes nor protects', () => {
    const past = [...FIVE, eight].map((one) => ({ ...one, podHere: false }));
    expect(gone(past, { ...week, keepLast: 1 })).toEqual(['eight']);
    expect(gone(past, { keepLast: 1 })).toEqual([]);
  });

  test('a pinned one stays, and one from the future is not old', () => {
    expect(gone([{ ...eight, pinned: true }, archive('future', -1440)], week)).toEqual([]);
  });

  test('counts days as they are: what is a day old goes by a limit of less', () => {
    const one = archive('day', 0, { createdMs: NOW_MS - DAY_MS - 1 });
    expect(gone([one], { maxAgeSeconds: 86_400 })).toEqual(['day']);
  });
});

describe('maxTotalSize of a policy', () => {
  test('the oldest go until the rest fits', () => {
    expect(gone(FIVE, { maxTotalSizeBytes: 350 })).toEqual(['m5', 'm4']);
    expect(gone(FIVE, { maxTotalSizeBytes: 500 })).toEqual([]);
    expect(gone(FIVE, { maxTotalSizeBytes: 1 })).toEqual(['m5', 'm4', 'm3', 'm2', 'm1']);
    expect(archivesToDelete(ask(FIVE, { maxTotalSizeBytes: 400 }))[0]?.reason).toBe(
      'the archives of policy shop/p take more than maxTotalSize 400',
    );
  });

  test('what goes for another reason has gone already', () => {
    expect(gone(FIVE, { keepLast: 3, maxTotalSizeBytes: 300 })).toEqual(['m5', 'm4']);
    expect(gone(FIVE, { keepLast: 3, maxTotalSizeBytes: 299 })).toEqual(['m5', 'm4', 'm3']);
  });

  test('pinned ones stay and count; those of gone pods count as well', () => {
    const archives = FIVE.map((one) => ({ ...one, podHere: false, pinned: one.path.endsWith('m5') }));
    expect(gone(archives, { maxTotalSizeBytes: 200 })).toEqual(['m4', 'm3', 'm2']);
  });

  test('other policies do not count', () => {
    expect(
      gone([...FIVE, archive('q', 9, { policy: 'shop/q', sizeBytes: 1e6 })], { maxTotalSizeBytes: 500 }),
    ).toEqual([]);
  });
});

describe('the bounds of the node', () => {
  test('without a policy, or with an unknown one, nothing else counts', () => {
    const old = FIVE.map((one) => ({ ...one, createdMs: 0, policy: 'shop/deleted' }));
    expect(gone(old, { keepLast: 1, maxAgeSeconds: 1 })).toEqual([]);
    expect(gone(FIVE, null)).toEqual([]);
    expect(gone(FIVE, {})).toEqual([]);
  });

  test('the size of all: the oldest first', () => {
    expect(gone(FIVE, null, { maxTotalSizeBytes: 300 })).toEqual(['m5', 'm4']);
    expect(archivesToDelete(ask(FIVE, null, { maxTotalSizeBytes: 400 }))[0]?.reason).toBe(
      'the archives of the node take more than archives.maxTotalSize 400',
    );
  });

  test('the newest of a living container goes after all that are not, older or not', () => {
    const archives = [
      archive('lonely', 100, { podUID: 'b' }),
      archive('past', 90, { podUID: 'c', podHere: false }),
      archive('old', 80),
      archive('new', 70),
    ];
    expect(gone(archives, null, { maxTotalSizeBytes: 200 })).toEqual(['past', 'old']);
    expect(gone(archives, null, { maxTotalSizeBytes: 100 })).toEqual(['past', 'old', 'lonely']);
    expect(gone(archives, null, { maxTotalSizeBytes: 0 })).toEqual(['past', 'old', 'lonely', 'new']);
  });

  test("others' archives neither count nor go, unless they are managed", () => {
    const archives = [...FIVE, archive('foreign', 99, { ours: false, policy: null, podUID: null })];
    expect(gone(archives, null, { maxTotalSizeBytes: 500 })).toEqual([]);
    expect(gone(archives, null, { maxTotalSizeBytes: 500, others: 'manage' })).toEqual(['foreign']);
    expect(gone(archives, null, { maxTotalSizeBytes: 0 })).toEqual(['m5', 'm4', 'm3', 'm2', 'm1']);
  });

  const spaceOf = (freeBytes: number): Partial<NodeBounds> => ({
    minFreePercent: 15,
    spaces: new Map([[DISK, { freeBytes, totalBytes: 2000 }]]),
  });

  test('free space: the oldest go until so much of the file system is free', () => {
    expect(gone(FIVE, null, spaceOf(300))).toEqual([]);
    expect(gone(FIVE, null, spaceOf(299))).toEqual(['m5']);
    expect(gone(FIVE, null, spaceOf(100))).toEqual(['m5', 'm4']);
    expect(archivesToDelete(ask(FIVE, null, spaceOf(299)))[0]?.reason).toBe(
      'less than archives.minFreePercent 15 % of its file system is free',
    );
  });

  test('what goes by a policy makes room too', () => {
    expect(gone(FIVE, { keepLast: 3 }, spaceOf(100))).toEqual(['m5', 'm4']);
  });

  test('only archives of that file system go, and of an unknown one nothing is asked', () => {
    const archives = [archive('elsewhere', 99, { device: 2 }), ...FIVE];
    expect(gone(archives, null, spaceOf(299))).toEqual(['m5']);
    expect(gone([archive('elsewhere', 99, { device: 2 })], null, spaceOf(0))).toEqual([]);
  });

  test('nothing goes that would give nothing, and pinned ones never do', () => {
    const archives = [
      archive('empty', 99, { sizeBytes: 0 }),
      archive('pin', 98, { pinned: true }),
      archive('m', 1),
    ];
    expect(gone(archives, null, spaceOf(0))).toEqual(['m']);
  });
});

describe('of any archives', () => {
  const anArchive = fc.record({
    device: fc.constantFrom(1, 2),
    sizeBytes: fc.nat({ max: 500 }),
    createdMs: fc.integer({ min: NOW_MS - 20 * DAY_MS, max: NOW_MS + DAY_MS }),
    pinned: fc.boolean(),
    ours: fc.boolean(),
    policy: fc.constantFrom('shop/p', 'shop/q', null),
    podUID: fc.constantFrom('a', 'b', null),
    containerName: fc.constantFrom('app', 'side'),
  });
  const retention = fc.record(
    {
      keepLast: fc.integer({ min: 1, max: 4 }),
      maxAgeSeconds: fc.integer({ min: 1, max: 20 * 86_400 }),
      maxTotalSizeBytes: fc.integer({ min: 1, max: 3000 }),
    },
    { requiredKeys: [] },
  );
  const aQuestion = fc
    .record({
      archives: fc.array(anArchive, { maxLength: 25 }),
      here: fc.subarray(['a', 'b']),
      p: retention,
      q: fc.option(retention),
      maxTotalSizeBytes: fc.nat({ max: 6000 }),
      minFreePercent: fc.integer({ min: 0, max: 99 }),
      freeBytes: fc.nat({ max: 10_000 }),
      others: fc.constantFrom('keep' as const, 'manage' as const),
    })
    .map(({ archives, here, p, q, freeBytes, ...node }): RetentionQuestion => {
      const spaces = new Map([[1, { freeBytes, totalBytes: 10_000 }]]);
      return {
        archives: archives.map((one, index) => ({
          ...one,
          path: `/archives/${index}`,
          podHere: one.podUID !== null && here.includes(one.podUID),
        })),
        policies: new Map([['shop/p', p], ...(q === null ? [] : [['shop/q', q] as const])]),
        node: { ...node, spaces },
        nowMs: NOW_MS,
      };
    });

  const rest = (question: RetentionQuestion): KeptArchive[] => {
    const expired = new Set(archivesToDelete(question).map(({ archive: one }) => one));
    return question.archives.filter((one) => !expired.has(one));
  };
  const sum = (archives: readonly KeptArchive[]): number =>
    archives.reduce((total, { sizeBytes }) => total + sizeBytes, 0);

  test('pinned ones stay, others only go when managed, each goes once and for a reason', () => {
    fc.assert(
      fc.property(aQuestion, (question) => {
        const expired = archivesToDelete(question);
        expect(new Set(expired.map(({ archive: { path } }) => path)).size).toBe(expired.length);
        for (const { archive: one, reason } of expired) {
          expect(one.pinned).toBe(false);
          expect(one.ours || question.node.others === 'manage').toBe(true);
          expect(reason).not.toBe('');
        }
      }),
    );
  });

  test('what stays is within the bounds of the node, or cannot be less', () => {
    fc.assert(
      fc.property(aQuestion, (question) => {
        const counted = rest(question).filter(({ ours }) => ours || question.node.others === 'manage');
        const loose = counted.filter(({ pinned, sizeBytes }) => !pinned && sizeBytes > 0);
        expect(sum(counted) <= question.node.maxTotalSizeBytes || loose.length === 0).toBe(true);
      }),
    );
  });

  test('of a living container at most keepLast stay of the policy, pinned ones aside', () => {
    fc.assert(
      fc.property(aQuestion, (question) => {
        const keepLast = question.policies.get('shop/p')?.keepLast ?? Infinity;
        for (const podUID of ['a', 'b'])
          for (const containerName of ['app', 'side']) {
            const left = rest(question).filter(
              (one) =>
                one.ours &&
                one.policy === 'shop/p' &&
                one.podHere &&
                one.podUID === podUID &&
                one.containerName === containerName &&
                !one.pinned,
            );
            expect(left.length).toBeLessThanOrEqual(keepLast);
          }
      }),
    );
  });

  test('the newest of a living container goes by bounds of the node only after all its older ones', () => {
    fc.assert(
      fc.property(aQuestion, (question) => {
        const onlyNode = { ...question, policies: new Map<string, PlanRetention>() };
        const left = rest(onlyNode);
        for (const { archive: one } of archivesToDelete(onlyNode)) {
          if (!one.podHere) continue;
          const older = left.filter(
            (other) =>
              other.podUID === one.podUID &&
              other.containerName === one.containerName &&
              other.device === one.device &&
              (other.ours || onlyNode.node.others === 'manage') &&
              !other.pinned &&
              other.sizeBytes > 0 &&
              other.createdMs < one.createdMs,
          );
          expect(older).toEqual([]);
        }
      }),
    );
  });

  test('asked again about what stays, nothing more goes', () => {
    fc.assert(
      fc.property(aQuestion, (question) => {
        const expired = archivesToDelete(question).map(({ archive: one }) => one);
        const freed = sum(expired.filter(({ device }) => device === 1));
        const before = question.node.spaces.get(1) ?? { freeBytes: 0, totalBytes: 0 };
        const spaces = new Map([[1, { ...before, freeBytes: before.freeBytes + freed }]]);
        const again = { ...question, archives: rest(question), node: { ...question.node, spaces } };
        expect(archivesToDelete(again)).toEqual([]);
      }),
    );
  });

  test('without policies and with room enough everything stays', () => {
    fc.assert(
      fc.property(aQuestion, (question) => {
        const node = { ...ROOMY, others: question.node.others };
        expect(archivesToDelete({ ...question, policies: new Map(), node })).toEqual([]);
      }),
    );
  });
});
