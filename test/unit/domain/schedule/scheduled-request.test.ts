import { describe, expect, test } from '@jest/globals';
import { readCheckpointRequestSpec } from '../../../../src/api/checkpoint-request.ts';
import type { KubeObject } from '../../../../src/api/kube-object.ts';
import { requestsBeyondHistory, roundOutcome } from '../../../../src/domain/schedule/round-outcome.ts';
import {
  historyTtlSeconds,
  readScheduledRequest,
  scheduledRequest,
  type RequestWanted,
  type ScheduledRequest,
} from '../../../../src/domain/schedule/scheduled-request.ts';

const AT = '2026-11-23T10:10:00Z';
const DAY_MS = 86_400_000;
const WANTED: RequestWanted = {
  namespace: 'shop',
  name: 'p-1',
  policyName: 'p',
  scheduleTime: AT,
  podName: 'a',
  podUID: 'u-a',
  containerNames: null,
  timeoutSeconds: 120,
  ttlSeconds: 604_800,
};

function withStatus(status: unknown, changes: Partial<RequestWanted> = {}): ScheduledRequest | null {
  return readScheduledRequest({ ...scheduledRequest({ ...WANTED, ...changes }), status });
}

const condition = (type: string, reason: string, message = '') => ({
  type,
  status: 'True',
  reason,
  message,
  lastTransitionTime: AT,
});

describe('what is asked for', () => {
  test('is a valid request', () => {
    const object = scheduledRequest({ ...WANTED, containerNames: ['app'] });
    expect(readCheckpointRequestSpec(object)).toEqual({
      ok: true,
      value: {
        podName: 'a',
        podUID: 'u-a',
        containerNames: ['app'],
        timeoutSeconds: 120,
        startDeadlineSeconds: 86_400,
        ttlSecondsAfterFinished: 604_800,
        archivePolicy: 'Retain',
      },
    });
  });

  test('names at most sixteen containers', () => {
    const containerNames = Array.from({ length: 20 }, (_, index) => `c${index.toString()}`);
    const read = readCheckpointRequestSpec(scheduledRequest({ ...WANTED, containerNames }));
    expect(read.ok && read.value.containerNames).toEqual(containerNames.slice(0, 16));
  });

  test.each<[string, number, number, number]>([
    ['a week at least', 3600_000, 3, 604_800],
    ['beyond the history of a monthly schedule', 30 * DAY_MS, 3, 150 * 86_400],
    ['ten years at most', 366 * DAY_MS, 100, 315_360_000],
  ])('stays %s', (_, everyMs, historyLimit, seconds) => {
    const times = { next: (afterMs: number) => (Math.floor(afterMs / everyMs) + 1) * everyMs };
    expect(historyTtlSeconds(times, 10 * everyMs, historyLimit)).toBe(seconds);
  });

  test('stays longest where no further round comes', () => {
    expect(historyTtlSeconds({ next: () => null }, 0, 3)).toBe(315_360_000);
  });
});

describe('what is read', () => {
  test('a request of somebody else is none of ours', () => {
    const object = { ...scheduledRequest(WANTED), metadata: { name: 'x', labels: {} } } as KubeObject;
    expect(readScheduledRequest(object)).toBeNull();
  });

  test.each<[string, unknown]>([
    ['no status', undefined],
    ['the default of the CRD', { observedGeneration: -1 }],
    ['accepted', { conditions: [condition('Accepted', 'Accepted')] }],
    ['running', { conditions: [condition('Running', 'Running')] }],
    ['Complete that is not True', { conditions: [{ ...condition('Complete', 'X'), status: 'False' }] }],
  ])('%s: not finished', (_, status) => {
    expect(withStatus(status)).toMatchObject({ name: 'p-1', podUID: 'u-a', scheduleTime: AT, result: null });
  });

  test('containers are counted, and the first that failed is named', () => {
    const containers = [
      { name: 'app', result: 'Succeeded', attempts: 1 },
      { name: 'db', result: 'Failed', reason: 'NoSpace', message: 'disk full', attempts: 1 },
      { name: 'proxy', result: 'Unknown', attempts: 1 },
    ];
    const status = { conditions: [condition('Failed', 'NoSpace')], completionTime: AT, containers };
    expect(withStatus(status)?.result).toEqual({
      succeeded: 1,
      failed: 2,
      completedAt: AT,
      failure: 'a/db: NoSpace: disk full',
    });
  });

  test('refused before any container was looked at: all that were asked for count', () => {
    const status = { conditions: [condition('Failed', 'QueueFull', 'too many')] };
    expect(withStatus(status, { containerNames: ['app', 'db'] })?.result).toEqual({
      succeeded: 0,
      failed: 2,
      completedAt: null,
      failure: 'a: QueueFull: too many',
    });
    expect(withStatus(status)?.result?.failed).toBe(1);
  });
});

function finished(podUID: string, scheduleTime: string, isFinished = true): ScheduledRequest {
  const result = { succeeded: 1, failed: 0, completedAt: scheduleTime, failure: null };
  return {
    name: `${podUID}-${scheduleTime}`,
    uid: '',
    podUID,
    scheduleTime,
    result: isFinished ? result : null,
  };
}

describe('the outcome of a round', () => {
  const now = { at: '2026-11-23T11:00:00Z', generation: 4 };

  test('nothing was there', () => {
    expect(roundOutcome([], now)).toBeNull();
  });

  test('all went well: the time of the last', () => {
    const requests = [finished('a', '2026-11-23T10:12:00Z'), finished('b', '2026-11-23T10:11:00Z')];
    expect(roundOutcome(requests, now)).toEqual({
      lastCheckpoint: { time: '2026-11-23T10:12:00Z', succeeded: 2, failed: 0 },
      condition: {
        type: 'CheckpointsHealthy',
        status: 'True',
        reason: 'CheckpointsSucceeded',
        message: '2 containers checkpointed',
        observedGeneration: 4,
      },
    });
  });

  test('a message has its bound', () => {
    const failure = `a/app: ${'x'.repeat(3000)}`;
    const request = {
      ...finished('a', AT),
      result: { succeeded: 0, failed: 1, completedAt: null, failure },
    };
    const outcome = roundOutcome([request], now);
    expect(outcome?.lastCheckpoint).toEqual({ time: now.at, succeeded: 0, failed: 1 });
    expect(outcome?.condition.message.length).toBe(1024);
  });
});

test('the history: per pod, the newest stay, and those of the round under way', () => {
  const requests = ['10:10', '10:30', '10:20'].map((time) => finished('a', time));
  const others = [finished('b', '10:10'), finished('b', '10:20', false)];
  const names = (limit: number, active: string | null): string[] =>
    requestsBeyondHistory([...requests, ...others], limit, active).map(({ name }) => name);
  expect(names(2, null)).toEqual(['a-10:10']);
  expect(names(1, null)).toEqual(['a-10:20', 'a-10:10']);
  expect(names(0, '10:30')).toEqual(['a-10:20', 'a-10:10', 'b-10:10']);
  expect(names(3, null)).toEqual([]);
});
