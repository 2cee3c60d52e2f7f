// A watch of one Lease that tells an election what it sees, so that a released lease is taken at once. The election works without it, only later.
import type { KubeObject, ObjectRef } from '../api/kube-object.ts';
import type { LeaderElection } from './leader-election.ts';
import { LEASES } from './lease-record.ts';
import { createObjectReflector, type Reflector, type ReflectorParts } from './reflector.ts';

/** To be run beside the election. Needs list and watch on this one Lease (RBAC resourceNames suffice: it is asked for by name). */
export function createLeaseWatch(
  parts: ReflectorParts,
  lease: ObjectRef,
  election: Pick<LeaderElection, 'observe'>,
): Reflector<KubeObject> {
  const { namespace, name } = lease;
  const selection = {
    fieldSelector: `metadata.name=${name}`,
    ...(namespace === undefined ? {} : { namespace }),
  };
  const reflector = createObjectReflector(parts, { name: 'leases', resource: LEASES, selection });
  reflector.subscribe(({ after }) => {
    election.observe(after);
  });
  return reflector;
}
