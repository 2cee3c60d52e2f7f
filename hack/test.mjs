// `npm test`: everything. Installs what is missing first; needs root on Linux for the lab tests.
import { continueWith, ensureInstalled, giveUp } from './bootstrap.mjs';

if (process.platform !== 'linux' || process.getuid?.() !== 0) {
  giveUp(
    'The tests run real CRIU, runc and Docker in a throwaway node, which needs root on Linux. Without it: npm run check',
  );
}
ensureInstalled();
continueWith('hack/test.ts', process.argv.slice(2));
