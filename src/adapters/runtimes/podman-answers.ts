// What is read of Podman's answers: only the fields used here, everything else ignored. API 4.0 to 5.8.
import { z } from 'zod';
import type { RuntimeContainer } from '../../ports/container-runtime.ts';

export const PodmanInfoAnswer = z.object({
  host: z.object({
    ociRuntime: z
      .object({
        name: z.string(),
        path: z.string(),
        /** All that its --version prints. */
        version: z.string(),
      })
      .optional(),
    security: z.object({ rootless: z.boolean() }),
  }),
  version: z.object({ Version: z.string() }),
});

const Labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});

const State = z.string().transform(toState);

export const PodmanListAnswer = z
  .array(
    z.object({
      Id: z.string(),
      Names: z
        .array(z.string())
        .nullish()
        .transform((value) => value ?? []),
      State,
      /** The process that only holds a pod's namespaces. */
      IsInfra: z.boolean().optional(),
    }),
  )
  .nullable()
  .transform((value) => value ?? []);

export const PodmanInspectAnswer = z.object({
  Id: z.string(),
  Name: z.string(),
  State: z.object({ Status: State, Pid: z.int() }),
  StaticDir: z.string().startsWith('/'),
  OCIRuntime: z.string().optional(),
  Config: z.object({ Labels, Annotations: Labels }),
});

/** Podman knows more states of a container that does not run (libpod/define/containerstate.go). */
function toState(text: string): RuntimeContainer['state'] {
  if (text === 'running') return 'Running';
  if (text === 'paused') return 'Paused';
  return ['created', 'configured', 'initialized'].includes(text) ? 'Created' : 'Stopped';
}
