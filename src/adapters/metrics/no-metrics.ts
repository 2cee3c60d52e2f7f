// For a program that ends before anybody could ask for its metrics.
import type { NodeMetrics } from '../../ports/node-metrics.ts';

const nothing = (): void => undefined;

export const noMetrics: NodeMetrics = {
  fileLimit: nothing,
  fileWrite: nothing,
  drift: nothing,
  scanned: nothing,
  checkpoint: nothing,
  policies: nothing,
  reconciled: nothing,
};
