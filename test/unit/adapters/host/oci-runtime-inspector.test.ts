import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createOciRuntimeInspector } from '../../../../src/adapters/host/oci-runtime-inspector.ts';
import type { OciRuntimeInspector } from '../../../../src/ports/oci-runtime-inspector.ts';
import { CommandNotFound } from '../../../../src/ports/process-runner.ts';

const SYMBOL = 'criu_set_config_file\0';
const MIB = 2 ** 20;
// Recorded: crun 1.28 and runc 1.3.6 of Debian.
const CRUN =
  'crun version 1.28\ncommit: 54f1\nrundir: /run/crun\nspec: 1.0.0\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +CRIU +JSON_C\n';
const RUNC = 'runc version 1.3.6+ds1\ncommit: 1.3.6+ds1-1\nspec: 1.2.1\n';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'oci-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function program(name: string, content: Buffer | string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, 0o755);
  return path;
}

/** An inspector of a host whose programs print these. */
function inspector(printed: Record<string, string>): OciRuntimeInspector {
  return createOciRuntimeInspector({
    runner: {
      run: (command) => {
        const stdout = printed[command];
        if (stdout === undefined) return Promise.reject(new CommandNotFound(command));
        return Promise.resolve({ exitCode: 0, stdout, stderr: '', timedOut: false });
      },
    },
    path: ['/no-such-folder', folder],
  });
}

describe('an OCI runtime', () => {
  test('that is not there', async () => {
    expect(await inspector({}).inspect('crun')).toBeNull();
  });

  test('runc', async () => {
    const file = program('runc', '');
    expect(await inspector({ runc: RUNC }).inspect('runc')).toEqual({
      program: file,
      kind: 'runc',
      version: '1.3.6+ds1',
      builtWithCriu: null,
      namesFile: false,
    });
  });

  test.each([
    ['that names files', `\x7fELF${SYMBOL}`, CRUN, true, true],
    ['that does not', '\x7fELF criu_set_config_fil\0', CRUN, true, false],
    ['built without CRIU', SYMBOL, CRUN.replace(' +CRIU', ''), false, true],
  ])('crun %s', async (...[, content, printed, builtWithCriu, namesFile]) => {
    const file = program('crun', content);
    const expected = { program: file, kind: 'crun', version: '1.28', builtWithCriu, namesFile };
    expect(await inspector({ crun: printed }).inspect('crun')).toEqual(expected);
    expect(await inspector({ [file]: printed }).inspect(file)).toEqual(expected);
  });

  test('another one', async () => {
    program('youki', '');
    expect(await inspector({ youki: 'youki version 0.5.0\n' }).inspect('youki')).toMatchObject({
      kind: 'Other',
      version: '0.5.0',
    });
  });
});

describe('the symbol', () => {
  // The file is read in pieces of 1 MiB.
  test.each([0, 1, 10, SYMBOL.length - 1, SYMBOL.length])(
    'is found %i bytes before the end of a piece',
    async (before) => {
      const content = Buffer.alloc(3 * MIB, 'x');
      content.write(SYMBOL, 2 * MIB - before, 'latin1');
      program('crun', content);
      expect((await inspector({ crun: CRUN }).inspect('crun'))?.namesFile).toBe(true);
    },
  );

  test('is looked for anew when the file is another', async () => {
    const host = inspector({ crun: CRUN });
    program('crun', 'old');
    expect((await host.inspect('crun'))?.namesFile).toBe(false);
    program('crun', `newer ${SYMBOL}`);
    expect((await host.inspect('crun'))?.namesFile).toBe(true);
  });
});

test('libcriu is what the dynamic linker lists first', async () => {
  const library = program('libcriu.so.2', SYMBOL);
  const cache = `2 libs found in cache\n\tlibcriu.so.2 (libc6,x86-64) => ${library}\n\tlibcriu.so.2 (libc6) => /other/libcriu.so.2\n`;
  expect(await inspector({ ldconfig: cache }).findLibcriu()).toEqual({ path: library, takesFileName: true });
});
