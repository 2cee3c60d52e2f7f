// Bundles the product into dist/: one program under two names, cut so that a quick command does not load the agent. Run by npm (`prepare`).
import { build } from 'esbuild';
import { chmod, copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };

await rm(dist, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { ghostlimit: 'src/main.ts' },
  outdir: dist,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  legalComments: 'linked',
  define: { __GHOSTLIMIT_VERSION__: JSON.stringify(version) },
  banner: {
    // Bundled CommonJS packages (pino, prom-client) call require for Node's own modules.
    js: "#!/usr/bin/env node\nimport { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
  },
});
const program = join(dist, 'ghostlimit.mjs');
await copyFile(program, join(dist, 'kubectl-ghostlimit.mjs'));
for (const name of ['ghostlimit.mjs', 'kubectl-ghostlimit.mjs']) await chmod(join(dist, name), 0o755);
