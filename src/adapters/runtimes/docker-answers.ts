// What is read of Docker Engine's answers: only the fields used here, everything else ignored. API 1.24 to 1.51.
import { z } from 'zod';
import type { RuntimeContainer } from '../../ports/container-runtime.ts';

export const VersionAnswer = z.object({
  Version: z.string(),
  ApiVersion: z.string(),
  MinAPIVersion: z.string().optional(),
  Components: z
    .array(z.object({ Name: z.string(), Version: z.string() }))
    .nullish()
    .transform((value) => value ?? []),
});

export const InfoAnswer = z.object({
  ExperimentalBuild: z.boolean().optional(),
  DockerRootDir: z.string().startsWith('/'),
  DefaultRuntime: z.string().optional(),
  /** By name; what they are called with is a path or a name in PATH. Absent for those that are shims of containerd. */
  Runtimes: z
    .record(z.string(), z.object({ path: z.string().optional() }))
    .nullish()
    .transform((value) => value ?? {}),
});

const Labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});

const State = z.string().transform(toState);

export const ContainerListAnswer = z.array(
  z.object({
    Id: z.string(),
    Names: z
      .array(z.string())
      .nullish()
      .transform((value) => value ?? []),
    State,
    Labels,
  }),
);

export const InspectAnswer = z.object({
  Id: z.string(),
  Name: z.string(),
  State: z.object({ Status: State, Pid: z.int() }),
  Config: z.object({ Labels }),
  HostConfig: z
    .object({ Annotations: Labels, Runtime: z.string().optional() })
    .nullish()
    .transform((value) => value ?? { Annotations: {} }),
});

/** A running container restarts with an exited one's pid 0: whatever does not run now counts as stopped. */
function toState(text: string): RuntimeContainer['state'] {
  if (text === 'running') return 'Running';
  if (text === 'paused') return 'Paused';
  return text === 'created' ? 'Created' : 'Stopped';
}
