// Metrics that nobody looks at.
import type { MachineryMetrics } from '../../src/ports/machinery-metrics.ts';

const nothing = (): void => undefined;

export const NO_MACHINERY_METRICS: MachineryMetrics = {
  queueDepth: nothing,
  queueAdded: nothing,
  queueWaited: nothing,
  queueWorked: nothing,
  queueRetried: nothing,
  reconciled: nothing,
  listed: nothing,
  watched: nothing,
  objectsHeld: nothing,
  leading: nothing,
};
