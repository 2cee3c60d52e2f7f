// Bundles the product: one program under two names, cut so that a quick command does not load the agent.
import { build } from 'esbuild';
import { chmod, copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** The version in package.json, which is the product's. */
export async function readVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return version;
}

/** Writes ghostlimit.mjs, kubectl-ghostlimit.mjs and the files that they load into `folder`. The same sources give the same bytes. */
export async function bundle(folder: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: { ghostlimit: 'src/main.ts' },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minifySyntax: true,
    legalComments: 'linked',
    define: { __GHOSTLIMIT_VERSION__: JSON.stringify(await readVersion()) },
    banner: {
      // Bundled CommonJS packages (pino, prom-client) call require for Node's own modules.
      js: "#!/usr/bin/env node\nimport { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
    },
  });
  const program = join(folder, 'ghostlimit.mjs');
  await copyFile(program, join(folder, 'kubectl-ghostlimit.mjs'));
  for (const name of ['ghostlimit.mjs', 'kubectl-ghostlimit.mjs']) await chmod(join(folder, name), 0o755);
}
