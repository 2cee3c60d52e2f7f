// Draws the rooms of src/ and the imports between them into docs/ARCHITECTURE.md, from the code itself. `--check` fails when the page is out of date.
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const page = join(root, 'docs/ARCHITECTURE.md');
const BEGIN = '<!-- module graph: begin (npm run graph) -->';
const END = '<!-- module graph: end -->';

/** src/adapters/host/x.ts → adapters/host; src/api/x.ts → api; src/main.ts → main. */
function roomOf(path: string): string {
  const parts = path.replace(/^src\//, '').split('/');
  if (parts.length === 1) return (parts[0] ?? '').replace(/\.ts$/, '');
  return parts[0] === 'adapters' ? 'adapters' : (parts[0] ?? '');
}

function edgesOf({ modules }: ICruiseResult): string[] {
  const edges = new Set<string>();
  for (const module of modules) {
    for (const { resolved } of module.dependencies) {
      if (!module.source.startsWith('src/') || !resolved.startsWith('src/')) continue;
      const [from, to] = [roomOf(module.source), roomOf(resolved)];
      if (from !== to && from !== 'codegen') edges.add(`  ${from} --> ${to}`);
    }
  }
  return [...edges].sort();
}

const { output } = await cruise(['src'], {
  baseDir: root,
  doNotFollow: { path: 'node_modules' },
  tsPreCompilationDeps: true,
  tsConfig: { fileName: join(root, 'tsconfig.json') },
});
if (typeof output === 'string') throw new Error('dependency-cruiser gave text, not modules');
const graph = ['```mermaid', 'flowchart TD', ...edgesOf(output), '```'].join('\n');
const text = await readFile(page, 'utf8');
const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
if (before === -1 || after === -1)
  throw new Error(`docs/ARCHITECTURE.md has lost its marks ${BEGIN} and ${END}`);
const wanted = `${text.slice(0, before)}${BEGIN}\n\n${graph}\n\n${text.slice(after)}`;

if (!process.argv.includes('--check')) await writeFile(page, wanted);
else if (wanted !== text) {
  process.stderr.write('docs/ARCHITECTURE.md does not show the imports as they are: run npm run graph\n');
  process.exitCode = 1;
}
