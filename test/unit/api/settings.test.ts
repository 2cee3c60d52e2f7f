import { describe, expect, test } from '@jest/globals';
import { printFieldProblem } from '../../../src/api/field-problem.ts';
import { parseNodeSettings, parseOperatorSettings } from '../../../src/api/settings.ts';

describe('parseNodeSettings', () => {
  test('without anything: the defaults of the API', () => {
    expect(parseNodeSettings({})).toMatchObject({
      ok: true,
      settings: {
        maxGhostLimit: 1_073_741_824,
        baseGhostLimit: null,
        allowedCriuOptions: [],
        namespaces: null,
        checkpointsPaused: false,
        archives: { directory: '/var/lib/ghostlimit/checkpoints' },
      },
    });
  });

  test('sizes become bytes', () => {
    const parsed = parseNodeSettings({ maxGhostLimit: '64Mi', baseGhostLimit: 2_097_152 });
    expect(parsed).toMatchObject({
      ok: true,
      settings: { maxGhostLimit: 67_108_864, baseGhostLimit: 2_097_152 },
    });
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['3MB', { maxGhostLimit: '3MB' }, 'maxGhostLimit: "3MB": is not a quantity: write "3Mi"'],
    ['under 1Mi', { maxGhostLimit: '1023Ki' }, 'maxGhostLimit: "1023Ki": must be at least 1Mi'],
    ['over 1Ti', { maxGhostLimit: '2Ti' }, 'maxGhostLimit: "2Ti": must be at most 1Ti'],
    [
      'true',
      { maxGhostLimit: true },
      'maxGhostLimit: true: must be a quantity such as "3Mi", or a whole number of bytes such as 3145728',
    ],
    [
      'a base over the cap',
      { maxGhostLimit: '2Mi', baseGhostLimit: '3Mi' },
      'baseGhostLimit: 3145728: must not be over maxGhostLimit (2097152)',
    ],
    [
      "an option in CRIU's words",
      { allowedCriuOptions: ['libdir'] },
      'allowedCriuOptions[0]: "libdir": must be one of TcpEstablished, TcpClose, TcpSkipInFlight, FileLocks, LinkRemap, ExtUnixSockets, ShellJob',
    ],
    [
      'a relative folder',
      { archives: { directory: 'x' } },
      'archives.directory: "x": must be an absolute path',
    ],
    [
      'a root directory of the kubelet that leads elsewhere',
      { kubelet: { rootDirectory: '/var/lib/../etc' } },
      'kubelet.rootDirectory: "/var/lib/../etc": must be an absolute path without . and ..',
    ],
    [
      'an unknown key',
      { maxGhostLimits: 1 },
      'has the unknown field "maxGhostLimits": remove it or correct its name',
    ],
  ])('refused: %s', (_sentence, input, problem) => {
    const parsed = parseNodeSettings(input);
    expect(parsed.ok ? [] : parsed.problems.map(printFieldProblem)).toEqual([problem]);
  });
});

describe('parseOperatorSettings', () => {
  test('without anything: the defaults of the API', () => {
    expect(parseOperatorSettings({})).toEqual({
      ok: true,
      settings: {
        maxGhostLimit: 1_073_741_824,
        baseGhostLimit: null,
        allowedCriuOptions: [],
        namespaces: null,
        files: 'auto',
        backend: 'auto',
        kubelet: { port: 10_250, caFile: null, rootDirectory: '/var/lib/kubelet' },
        profile: 'privileged',
        checkpointsPaused: false,
        minimumScheduleIntervalSeconds: 300,
        archives: {
          directory: '/var/lib/ghostlimit/checkpoints',
          maxTotalSize: 53_687_091_200,
          minFreePercent: 15,
          others: 'keep',
        },
        agent: {
          image: null,
          resources: { requests: { cpu: '10m', memory: '96Mi' }, limits: { memory: '256Mi' } },
          tolerations: [{ operator: 'Exists' }],
          nodeSelector: { 'kubernetes.io/os': 'linux' },
          maxUnavailable: '10%',
        },
        removal: false,
      },
    });
  });

  test.each<[string, Record<string, unknown>]>([
    ['what the defaults are', { maxGhostLimit: '1Gi', baseGhostLimit: null, namespaces: null }],
    ['a base at the cap', { maxGhostLimit: '2Mi', baseGhostLimit: '2Mi' }],
    ['hardened through the kubelet', { profile: 'hardened', backend: 'kubelet' }],
    [
      'an agent of one at a time',
      { agent: { maxUnavailable: 1, image: 'r.example.com/g:1', tolerations: [] } },
    ],
    ['all at a time', { agent: { maxUnavailable: '100%' } }],
    ['no limits', { agent: { resources: { limits: {}, requests: { memory: 100_663_296 } } } }],
    ['a schedule every minute', { minimumScheduleIntervalSeconds: 60 }],
  ])('taken: %s', (_sentence, input) => {
    expect(parseOperatorSettings(input)).toMatchObject({ ok: true });
  });

  test.each<[string, Record<string, unknown>, string]>([
    [
      'a base over the cap',
      { maxGhostLimit: '2Mi', baseGhostLimit: '3Mi' },
      'baseGhostLimit: 3145728: must not be over maxGhostLimit (2097152)',
    ],
    [
      'hardened with the socket',
      { profile: 'hardened', backend: 'cri' },
      'backend: "cri": needs the profile privileged: use auto or kubelet',
    ],
    ['another backend', { backend: 'docker' }, 'backend: "docker": must be one of auto, cri, kubelet'],
    ['another profile', { profile: 'root' }, 'profile: "root": must be one of privileged, hardened'],
    [
      'schedules by the second',
      { minimumScheduleIntervalSeconds: 1 },
      'minimumScheduleIntervalSeconds: 1: must be at least 60',
    ],
    ['no agent at all', { agent: { maxUnavailable: 0 } }, 'agent.maxUnavailable: 0: must be at least 1'],
    [
      'more than all',
      { agent: { maxUnavailable: '101%' } },
      'agent.maxUnavailable: "101%": must be a number from 1, or 1% to 100%',
    ],
    [
      'an unknown part of the agent',
      { agent: { images: 'x' } },
      'agent: has the unknown field "images": remove it or correct its name',
    ],
    ['all space', { archives: { minFreePercent: 100 } }, 'archives.minFreePercent: 100: must be at most 99'],
    ['removal as text', { removal: 'yes' }, 'removal: "yes": must be true or false'],
  ])('refused: %s', (_sentence, input, problem) => {
    const parsed = parseOperatorSettings(input);
    expect(parsed.ok ? [] : parsed.problems.map(printFieldProblem)).toEqual([problem]);
  });

  test.each([null, 3, 'removal', []])('refused: %j instead of a mapping', (input) => {
    expect(parseOperatorSettings(input).ok).toBe(false);
  });
});
