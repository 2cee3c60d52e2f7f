// What is read of the answers of a CRI runtime, and of the JSON that containerd and CRI-O put into their verbose ones: only the fields used here.
import { z } from 'zod';
import type { RuntimeContainer } from '../../ports/container-runtime.ts';

export const CriVersion = z.object({ runtimeName: z.string(), runtimeVersion: z.string() });

const Info = z
  .record(z.string(), z.string())
  .optional()
  .transform((value) => value ?? {});

const Labels = Info;

export const CriStatus = z.object({ info: Info });

const State = z.string().transform(toState);

export const CriContainerList = z.object({
  containers: z.array(
    z.object({
      id: z.string(),
      podSandboxId: z.string(),
      metadata: z
        .object({ name: z.string() })
        .nullish()
        .transform((value) => value?.name ?? ''),
      state: State,
      labels: Labels,
    }),
  ),
});
export type CriListed = z.output<typeof CriContainerList>['containers'][number];

export const CriSandboxList = z.object({ items: z.array(z.object({ id: z.string(), labels: Labels })) });

export const CriContainerStatus = z.object({ info: Info });

export const CriNothing = z.object({});

/** `info.info` of a verbose ContainerStatus: containerd 1.6 to 2.4, CRI-O. */
export const CriContainerInfo = z
  .object({
    /** Absent or 0 when it does not run. */
    pid: z.int().default(0),
    runtimeOptions: z.object({ binary_name: z.string().optional() }).nullish(),
    runtimeSpec: z
      .object({ annotations: z.record(z.string(), z.string()).nullish() })
      .nullish()
      .transform((value) => value?.annotations ?? {}),
  })
  .transform(({ pid, runtimeOptions, runtimeSpec }) => ({
    pid,
    annotations: runtimeSpec,
    /** Empty: the default one. */
    ociRuntime: runtimeOptions?.binary_name ?? '',
  }));

/** `info.config` of a verbose Status of containerd. */
export const ContainerdConfig = z.object({
  containerd: z.object({
    defaultRuntimeName: z.string(),
    runtimes: z.record(
      z.string(),
      z.object({
        runtimeType: z.string(),
        options: z.object({ BinaryName: z.string().optional() }).nullish(),
      }),
    ),
  }),
});

function toState(text: string): RuntimeContainer['state'] {
  if (text === 'CONTAINER_RUNNING') return 'Running';
  return text === 'CONTAINER_CREATED' ? 'Created' : 'Stopped';
}
