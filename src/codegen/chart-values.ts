// The values of the chart, as a zod schema: values.schema.json is made from it, and values.yaml is checked against it.
import { z } from 'zod';
import { OperatorSettingsSchema } from '../api/settings.ts';

const text = (description: string) => z.string().max(512).meta({ description });
const pairs = (description: string) => z.record(z.string(), z.string()).meta({ description });
/** Handed through to Kubernetes, which knows what it may hold. */
const passed = (description: string) => z.record(z.string(), z.unknown()).meta({ description });
const passedList = (description: string) => z.array(z.record(z.string(), z.unknown())).meta({ description });

export const ChartValuesSchema = z
  .strictObject({
    global: z.unknown().meta({ description: 'Of a chart that this one is part of; not used.' }),
    image: z.strictObject({
      repository: text('Registry and name of the image.'),
      tag: text('Tag; default: the appVersion of the chart.'),
      digest: z
        .string()
        .regex(/^(?:sha256:[0-9a-f]{64})?$/)
        .meta({ description: 'Digest, such as sha256:...; wins over the tag.' }),
      pullPolicy: z
        .enum(['Always', 'IfNotPresent', 'Never'])
        .meta({ description: 'When the image is pulled, for the controller.' }),
    }),
    imagePullSecrets: z
      .array(z.strictObject({ name: z.string() }))
      .meta({ description: 'Secrets for the registry, for controller and agents.' }),
    replicas: z
      .int()
      .min(1)
      .max(9)
      .meta({ description: 'Controllers; one leads, the others wait to take over.' }),
    resources: passed('Requests and limits of the controller.'),
    nodeSelector: pairs('Labels of the nodes where the controller may run.'),
    tolerations: passedList('Taints that the controller bears.'),
    affinity: passed('Affinity of the controller.'),
    priorityClassName: text('Priority class of the controller.'),
    podAnnotations: pairs('More annotations of the pods of the controller.'),
    podLabels: pairs('More labels of the pods of the controller.'),
    extraArgs: z.array(z.string()).meta({ description: 'More arguments of the controller.' }),
    crds: z.strictObject({
      enabled: z.boolean().meta({ description: 'Whether the chart brings the CRDs.' }),
      keep: z.boolean().meta({
        description: 'Whether the CRDs, and with them all policies, stay when the release is uninstalled.',
      }),
    }),
    settings: OperatorSettingsSchema.meta({
      description: 'The settings of the operator, as they go into the ConfigMap ghostlimit-settings.',
    }),
  })
  .partial();

/** JSON schema draft 7, which Helm 3 and 4 read. */
export function chartValuesSchema(): Record<string, unknown> {
  return z.toJSONSchema(ChartValuesSchema, {
    target: 'draft-7',
    io: 'input',
    unrepresentable: 'throw',
    override: ({ jsonSchema }) => {
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
}
