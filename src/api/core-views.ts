// What we read of the objects of Kubernetes itself, as zod views: everything else of them is dropped. Lenient: unknown fields are ignored, absent ones have a value.
import { z } from 'zod';
import type { KubeObject } from './kube-object.ts';

const text = z.string();
const labels = z.record(text, text).default({});

const OwnerSchema = z.object({
  apiVersion: text,
  kind: text,
  name: text,
  uid: text.default(''),
  controller: z.boolean().default(false),
});

/** With what Kubernetes fills in where the pod says nothing. */
const ProbeSchema = z.object({
  periodSeconds: z.number().default(10),
  failureThreshold: z.number().default(3),
});
const ContainerSchema = z.object({
  name: text,
  restartPolicy: text.optional(),
  livenessProbe: ProbeSchema.nullish(),
});
const ContainerStatusSchema = z.object({
  name: text,
  /** "containerd://<id>"; empty or absent: not created yet. */
  containerID: text.default(''),
  state: z.object({ running: z.object({}).optional() }).default({}),
});

export const PodViewSchema = z.object({
  metadata: z.object({
    name: text,
    namespace: text,
    uid: text.default(''),
    creationTimestamp: text.nullish(),
    labels,
    annotations: labels,
    ownerReferences: z.array(OwnerSchema).default([]),
  }),
  spec: z
    .object({
      nodeName: text.default(''),
      containers: z.array(ContainerSchema).default([]),
      initContainers: z.array(ContainerSchema).default([]),
      ephemeralContainers: z.array(ContainerSchema).default([]),
    })
    .prefault({}),
  status: z
    .object({
      phase: text.default(''),
      conditions: z
        .array(z.object({ type: text, status: text, lastTransitionTime: text.nullish() }))
        .default([]),
      containerStatuses: z.array(ContainerStatusSchema).default([]),
      initContainerStatuses: z.array(ContainerStatusSchema).default([]),
      ephemeralContainerStatuses: z.array(ContainerStatusSchema).default([]),
    })
    .prefault({}),
});
export type PodView = z.output<typeof PodViewSchema>;

export const NodeViewSchema = z.object({
  metadata: z.object({ name: text, uid: text.default(''), labels }),
  status: z.object({ conditions: z.array(z.object({ type: text, status: text })).default([]) }).prefault({}),
});
export type NodeView = z.output<typeof NodeViewSchema>;

/** Throws where the object is no pod at all. */
export function viewPod(object: KubeObject): PodView {
  return PodViewSchema.parse(object);
}

export function viewNode(object: KubeObject): NodeView {
  return NodeViewSchema.parse(object);
}

/** The condition Ready of a node or a pod is True. */
export function isReady({
  status,
}: {
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
}): boolean {
  return status.conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');
}

/** A pod counts from scheduling until it is gone, not in phase Succeeded or Failed. */
export function podCounts({ spec, status }: PodView): boolean {
  return spec.nodeName !== '' && status.phase !== 'Succeeded' && status.phase !== 'Failed';
}
