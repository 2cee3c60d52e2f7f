// `npm run demo`: the main job, shown on real CRIU, Docker Engine and a JVM. Needs root on a Debian-like Linux; installs the rest itself.
import { existsSync } from 'node:fs';
import { continueWith, ensureInstalled, giveUp } from './bootstrap.mjs';

if (process.platform !== 'linux') giveUp('The demo freezes real containers with CRIU, which needs Linux.');
if (process.getuid?.() !== 0)
  giveUp('The demo makes a throwaway node in its own namespaces, which needs root: run it with sudo.');
if (!existsSync('/proc/sys/kernel/ns_last_pid')) {
  giveUp(
    'This kernel cannot checkpoint processes (CONFIG_CHECKPOINT_RESTORE is off): use a kernel of a general distribution.',
  );
}
ensureInstalled();
continueWith('hack/demo.ts', process.argv.slice(2));
