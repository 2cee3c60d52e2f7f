// What is read of runc's JSON: only the fields used here, everything else ignored. runc 1.0 to 1.3.
import { z } from 'zod';
import type { RuntimeContainer } from '../../ports/container-runtime.ts';

export const RuncContainer = z.object({
  id: z.string(),
  /** 0 when stopped. */
  pid: z.int(),
  status: z.string().transform(toState),
  annotations: z
    .record(z.string(), z.string())
    .nullish()
    .transform((value) => value ?? {}),
});

/** `runc list -f json` prints null when there is none. */
export const RuncList = z
  .array(RuncContainer)
  .nullable()
  .transform((value) => value ?? []);

export const RuncFeatures = z.object({
  annotations: z
    .record(z.string(), z.string())
    .nullish()
    .transform((value) => value ?? {}),
});

function toState(text: string): RuntimeContainer['state'] {
  if (text === 'running') return 'Running';
  if (text === 'paused' || text === 'pausing') return 'Paused';
  return text === 'created' ? 'Created' : 'Stopped';
}
