// Old parts of crun for a lab node. crun runs containers by `runtime: 'crun'` of runc.ts; Debian 13 as a whole (crun
// 1.21, libcriu 4.1.1, Podman 5.4) is `release: 'trixie'` of startLabNode.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bind } from './lab-node.ts';
import { ensureNodeRoot } from './node-root.ts';
import type { Progress } from './node-root.ts';

const LIBRARY = 'libcriu.so.2';

/**
 * A bind that gives a sid node the libcriu 4.1.1 of Debian 13 in place of its own: crun then finds no
 * criu_set_config_file in it, so that it reads neither crun.conf nor runc.conf. Give it to startLabNode.
 */
export async function oldLibcriuBind(progress: Progress): Promise<Bind> {
  const old = await ensureNodeRoot(progress, 'trixie');
  const folder = readdirSync(join(old, 'usr/lib')).find((name) => name.endsWith('-linux-gnu'));
  if (folder === undefined)
    throw new Error(`No folder of libraries in ${old}/usr/lib: Debian has changed its layout`);
  const path = `/usr/lib/${folder}/${LIBRARY}`;
  return { from: join(old, path), to: path, readOnly: true };
}
