// Before the first test on a lab cluster: builds Kubernetes and what else is missing, which takes minutes. So no test waits for a build.
import { ensureKubeTrees } from '../../hack/kube/kube-trees.ts';

export default async function buildTrees() {
  await ensureKubeTrees((line) => {
    process.stderr.write(`${line}\n`);
  });
}
