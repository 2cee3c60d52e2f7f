// A Lease (coordination.k8s.io/v1) as leader election reads and writes it. Pure; the rest of the object stays as it was.
import type { KubeObject, KubeResource, ObjectRef } from '../api/kube-object.ts';

export const LEASES: KubeResource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

/** What of the spec matters. Times in it are other machines' wall clocks, so nobody reckons with them. */
export interface LeaseRecord {
  /** Empty: nobody holds it. */
  readonly holder: string;
  readonly durationSeconds: number;
  readonly transitions: number;
}

/** Reads leniently: what is missing or of the wrong type counts as nobody's, or as zero. */
export function readLease(lease: KubeObject): LeaseRecord {
  const spec = specOf(lease);
  const { holderIdentity, leaseDurationSeconds, leaseTransitions } = spec;
  return {
    holder: typeof holderIdentity === 'string' ? holderIdentity : '',
    durationSeconds: typeof leaseDurationSeconds === 'number' ? leaseDurationSeconds : 0,
    transitions: typeof leaseTransitions === 'number' ? leaseTransitions : 0,
  };
}

/** The lease held by `holder` for `durationSeconds` from `at` (wall clock, milliseconds); `lease` null: a new one. A change of holder counts as a transition, as in client-go; a new lease has none. */
export function heldLease(
  lease: KubeObject | null,
  ref: ObjectRef,
  { holder, durationSeconds, at }: { holder: string; durationSeconds: number; at: number },
): KubeObject {
  const earlier = lease === null ? null : readLease(lease);
  const spec = lease === null ? {} : specOf(lease);
  const renewed = {
    ...spec,
    holderIdentity: holder,
    leaseDurationSeconds: durationSeconds,
    renewTime: microTime(at),
  };
  const base = lease ?? { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: ref };
  if (earlier?.holder === holder) return { ...base, spec: renewed };
  const leaseTransitions = earlier === null ? 0 : earlier.transitions + 1;
  return { ...base, spec: { ...renewed, acquireTime: microTime(at), leaseTransitions } };
}

/** The lease given up: nobody's, and over after a second for those who only look at times. */
export function releasedLease(lease: KubeObject, at: number): KubeObject {
  const time = microTime(at);
  return {
    ...lease,
    spec: {
      ...specOf(lease),
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: time,
      renewTime: time,
    },
  };
}

/** metav1.MicroTime: RFC 3339 with exactly six decimals; the API server refuses other forms. */
export function microTime(at: number): string {
  return new Date(at).toISOString().replace('Z', '000Z');
}

function specOf(lease: KubeObject): Readonly<Record<string, unknown>> {
  return typeof lease.spec === 'object' && lease.spec !== null ? { ...lease.spec } : {};
}
