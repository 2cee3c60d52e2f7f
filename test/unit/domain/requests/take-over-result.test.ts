import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  CheckpointRequestStatusSchema,
  type ContainerResult,
} from '../../../../src/api/checkpoint-request.ts';
import { finishedStatus } from '../../../../src/domain/requests/request-status.ts';
import { takeOver } from '../../../../src/domain/requests/take-over-result.ts';
import { aNodeWord, aRequest, CREATED, CREATED_MS } from './a-request.ts';

const took = (containers: ContainerResult[], times: Record<string, string> = {}) =>
  takeOver(aNodeWord('Finished', { containers, ...times }), CREATED_MS);
const app = { name: 'app', result: 'Succeeded', attempts: 1 } as const;

describe('the word of a node', () => {
  test.each<[string, ContainerResult, Record<string, string>, string | null]>([
    ['as it says', app, { startTime: '2026-11-23T09:59:58.250Z' }, '2026-11-23T09:59:58.250Z'],
    ['no time said, but it ran', app, {}, CREATED],
    ['a time that is none', app, { startTime: 'now' }, CREATED],
    ['refused before it began', { ...app, result: 'Failed', attempts: 0 }, {}, null],
    ['left out', { ...app, result: 'Skipped', attempts: 0 }, {}, null],
    ['nobody knows', { ...app, result: 'Unknown', attempts: 0 }, {}, CREATED],
  ])('when it began: %s', (_name, container, times, expected) => {
    expect(took([container], times).startTime).toBe(expected);
  });

  test('durations are added, and rounded to milliseconds', () => {
    const { durationSeconds } = took([
      { ...app, durationSeconds: 0.1 },
      { ...app, name: 'b', durationSeconds: 0.2 },
      { ...app, name: 'c' },
    ]);
    expect(durationSeconds).toBe(0.3);
    expect(took([app]).durationSeconds).toBeNull();
  });

  test('reasons that we do not know are Unclassified; escapes are not escaped again', () => {
    const [container] = took([
      { ...app, result: 'Failed', reason: 'Evil', message: 'a\\x1bb \u001b[31m', hint: 'c\n' },
    ]).containers;
    expect(container).toMatchObject({
      reason: 'Unclassified',
      message: 'a\\x1bb \\x1b[31m',
      hint: 'c\\n',
    });
  });

  test('whatever a node says, the status is of the agreed shape', () => {
    const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength });
    const result = fc.record(
      {
        name: text(253),
        result: fc.constantFrom(
          'Succeeded' as const,
          'Failed' as const,
          'Unknown' as const,
          'Skipped' as const,
        ),
        attempts: fc.nat(),
        reason: text(63),
        message: text(2048),
        hint: text(2048),
        durationSeconds: fc.double({ min: 0, max: 1e9, noNaN: true }),
        archive: fc.record({ path: text(4096), sizeBytes: fc.nat(), createdTime: text(40) }),
        ghostFile: fc.record({ path: text(4096), bytes: fc.nat() }),
      },
      { requiredKeys: ['name', 'result', 'attempts'] },
    );
    fc.assert(
      fc.property(fc.array(result, { maxLength: 5 }), text(40), (containers, startTime) => {
        const taken = takeOver(aNodeWord('Finished', { containers, startTime }), CREATED_MS);
        const status = finishedStatus(aRequest('Running'), taken, CREATED_MS);
        expect(CheckpointRequestStatusSchema.safeParse(status).error).toBeUndefined();
        expect(JSON.stringify(status.containers ?? [])).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
        const names = (status.containers ?? []).map(({ name }) => name);
        expect(new Set(names).size).toBe(names.length);
        for (const time of [status.startTime, status.completionTime])
          expect(Number.isNaN(Date.parse(time ?? ''))).toBe(false);
      }),
    );
  });
});
