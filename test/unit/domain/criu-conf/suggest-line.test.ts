import { describe, expect, test } from '@jest/globals';
import { suggestLine } from '../../../../src/domain/criu-conf/suggest-line.ts';

describe('the line that was meant', () => {
  test.each([
    ['ghost-limit = 3145728\n', 'ghost-limit 3145728'],
    ['  ghost-limit=3145728 ; netty\n', 'ghost-limit 3145728'],
    ['ghost-limit: "3145728" # netty\r\n', 'ghost-limit 3145728'],
    ['--ghost-limit 3 MiB\n', 'ghost-limit 3M'],
    ['ghost_limit 3m', 'ghost-limit 3M'],
    ['GhostLimit=1g', 'ghost-limit 1G'],
    ['\xef\xbb\xbfghost-limit 3M\n', 'ghost-limit 3M'],
    ['tcp-established=true\n', 'tcp-established'],
    ['tcp-established = off\n', 'no-tcp-established'],
    ['leave-running=no\n', 'leave-running'],
    ['verbosity 4\n', 'verbosity=4'],
    ['manage-cgroups\n', 'manage-cgroups'],
    ['network-lock = skip\n', 'network-lock skip'],
  ])('of %j is %j', (line, right) => {
    expect(suggestLine(line)).toBe(right);
  });

  test.each([
    ['[criu]\n'],
    ['; comment\n'],
    ['no-such = 1\n'],
    ['ghost-limit\n'],
    ['ghost-limit =\n'],
    [''],
    ['"ghost-limit" 5\n'],
  ])('of %j is not known', (line) => {
    expect(suggestLine(line)).toBeNull();
  });

  test('a line of a MiB costs no more than reading it', () => {
    expect(suggestLine(`ghost-limit${' '.repeat(1 << 20)}x`)).toBe('ghost-limit x');
  });
});
