// Before the first lab test: builds what the lab needs and this machine does not have yet, which takes minutes. So no test waits for a download.
import { ensureLabTrees } from '../../hack/lab/lab-trees.ts';

export default async function buildTrees() {
  await ensureLabTrees((line) => {
    process.stderr.write(`${line}\n`);
  });
}
