import { describe, expect, test } from '@jest/globals';
import { printFieldProblem } from '../../../src/api/field-problem.ts';
import { parseNodeSettings } from '../../../src/api/settings.ts';

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
      'an unknown key',
      { maxGhostLimits: 1 },
      'has the unknown field "maxGhostLimits": remove it or correct its name',
    ],
  ])('refused: %s', (_sentence, input, problem) => {
    const parsed = parseNodeSettings(input);
    expect(parsed.ok ? [] : parsed.problems.map(printFieldProblem)).toEqual([problem]);
  });
});
