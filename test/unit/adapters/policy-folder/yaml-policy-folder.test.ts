import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { watchDirectory } from '../../../../src/adapters/host/watch-directory.ts';
import { createYamlPolicyFolder } from '../../../../src/adapters/policy-folder/yaml-policy-folder.ts';
import type { PolicyFile } from '../../../../src/ports/policy-folder.ts';

let base = '';
let folder = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ghostlimit-policies-'));
  folder = join(base, 'policies');
  mkdirSync(folder);
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

const put = (name: string, text: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const read = (path = folder): Promise<readonly PolicyFile[]> =>
  createYamlPolicyFolder(path, watchDirectory).read();
const contentOf = async (text: string | Uint8Array): Promise<PolicyFile['content'] | undefined> => {
  const [file] = await read(put('a.yaml', text));
  return file?.content;
};

describe('what is read', () => {
  test('yaml, yml and json files by name; no hidden files, no folders below, nothing else', async () => {
    for (const name of ['b.yml', 'a.yaml', 'c.json', '.hidden.yaml', 'd.yaml~', 'e.txt', '.a.yaml.swp'])
      put(name, '{}');
    mkdirSync(join(folder, 'below'));
    writeFileSync(join(folder, 'below', 'f.yaml'), '{}');
    expect((await read()).map(({ name }) => name)).toEqual(['a.yaml', 'b.yml', 'c.json']);
  });

  test('a folder as Kubernetes mounts a ConfigMap: links to links', async () => {
    mkdirSync(join(folder, '..2026'));
    writeFileSync(join(folder, '..2026', 'a.yaml'), 'x: 1');
    symlinkSync('..2026', join(folder, '..data'));
    symlinkSync('..data/a.yaml', join(folder, 'a.yaml'));
    expect(await read()).toEqual([{ name: 'a.yaml', content: { documents: [{ x: 1 }] } }]);
  });

  test('one file, whatever its name', async () => {
    expect(await read(put('policy', 'x: 1'))).toEqual([
      { name: 'policy', content: { documents: [{ x: 1 }] } },
    ]);
  });

  test.each([['gone'], ['gone.yaml']])('a path that is not there: rejects (%s)', async (name) => {
    await expect(read(join(base, name))).rejects.toThrow('ENOENT');
  });

  test.each<[string, string | Uint8Array, PolicyFile['content']]>([
    ['several documents', 'a: 1\n---\nb: 2\n', { documents: [{ a: 1 }, { b: 2 }] }],
    ['empty documents are none', '---\n---\n# nothing\n', { documents: [] }],
    ['an empty file', '', { documents: [] }],
    ['a byte order mark', '\ufeffa: 1', { documents: [{ a: 1 }] }],
    ['line ends of Windows', 'a: 1\r\nb: x\r\n', { documents: [{ a: 1, b: 'x' }] }],
    ['an alias', 'a: &x {b: 1}\nc: *x', { documents: [{ a: { b: 1 }, c: { b: 1 } }] }],
    ['yes is text', 'a: yes', { documents: [{ a: 'yes' }] }],
    [
      'YAML that ends too soon',
      'a: [1, 2',
      {
        problem:
          'is not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ] at line 1, column 9:',
      },
    ],
    [
      'a key twice',
      'a: 1\na: 2',
      { problem: 'is not valid YAML: Map keys must be unique at line 2, column 1:' },
    ],
  ])('%s', async (_sentence, text, expected) => {
    expect(await contentOf(text)).toEqual(expected);
  });

  test('an alias bomb is a problem, not a fire', async () => {
    const levels = Array.from({ length: 12 }, (_value, level) =>
      level === 0
        ? 'l0: &l0 [x, x, x, x, x, x, x, x, x, x]'
        : `l${level}: &l${level} [${`*l${level - 1}, `.repeat(10)}]`,
    );
    expect(await contentOf(levels.join('\n'))).toEqual({
      problem: 'is not valid YAML: Excessive alias count indicates a resource exhaustion attack',
    });
  });

  test('brackets as deep as the file is long: a problem', async () => {
    expect(await contentOf('['.repeat(100_000))).toMatchObject({
      problem: expect.stringContaining('is not valid YAML'),
    });
  });

  test('a problem that would write on the terminal is escaped', async () => {
    expect(await contentOf('a: *\u009b31m')).toMatchObject({
      problem: expect.not.stringContaining('\u009b'),
    });
  });

  test('a huge file: its size, and the others are read', async () => {
    put('a.yaml', `# ${'x'.repeat(1_048_576)}`);
    put('b.yaml', 'x: 1');
    expect(await read()).toEqual([
      { name: 'a.yaml', content: { problem: 'has 1048578 bytes: at most 1048576 are read' } },
      { name: 'b.yaml', content: { documents: [{ x: 1 }] } },
    ]);
  });

  test('a pipe, a folder, a link to nowhere: problems, and nobody waits', async () => {
    execFileSync('mkfifo', [join(folder, 'a.yaml')]);
    mkdirSync(join(folder, 'b.yaml'));
    symlinkSync('nowhere', join(folder, 'c.yaml'));
    expect(await read()).toEqual([
      { name: 'a.yaml', content: { problem: 'is not a regular file: remove it or move it elsewhere' } },
      { name: 'b.yaml', content: { problem: 'is not a regular file: remove it or move it elsewhere' } },
      { name: 'c.yaml', content: { problem: expect.stringContaining('cannot be read: ENOENT') } },
    ]);
  });
});

describe('watching', () => {
  let stop: AbortController;
  let heard: () => Promise<void>;
  const watch = (path = folder): void => {
    stop = new AbortController();
    let notify: () => void = () => undefined;
    createYamlPolicyFolder(path, watchDirectory).watch(() => {
      notify();
    }, stop.signal);
    heard = () => new Promise((resolve) => (notify = resolve));
  };
  afterEach(() => {
    stop.abort();
  });

  test.each<[string, () => void]>([
    [
      'a file that is added',
      () => {
        put('new.yaml', 'x: 1');
      },
    ],
    [
      'a file that is changed',
      () => {
        put('a.yaml', 'x: 2');
      },
    ],
    [
      'a file that is replaced by rename',
      () => {
        put('.tmp', 'x: 3');
        renameSync(join(folder, '.tmp'), join(folder, 'a.yaml'));
      },
    ],
    [
      'a file that is removed',
      () => {
        rmSync(join(folder, 'a.yaml'));
      },
    ],
    [
      'the folder that goes',
      () => {
        rmSync(folder, { recursive: true });
      },
    ],
  ])('%s is heard', async (_sentence, change) => {
    put('a.yaml', 'x: 1');
    watch();
    const next = heard();
    change();
    await next;
  });

  test('a folder that goes and comes again is watched again', async () => {
    watch();
    let next = heard();
    rmSync(folder, { recursive: true });
    await next;
    next = heard();
    mkdirSync(folder);
    await next;
    next = heard();
    put('a.yaml', 'x: 1');
    await next;
  });

  test('a folder behind a link', async () => {
    symlinkSync(folder, join(base, 'link'));
    watch(join(base, 'link'));
    const next = heard();
    put('a.yaml', 'x: 1');
    await next;
  });

  test('one file, replaced by rename', async () => {
    watch(put('policy', 'x: 1'));
    const next = heard();
    put('.tmp', 'x: 2');
    renameSync(join(folder, '.tmp'), join(folder, 'policy'));
    await next;
  });
});
