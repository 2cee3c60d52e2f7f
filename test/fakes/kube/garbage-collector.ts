// Garbage collection by ownerReferences, as the controller manager does it. Runs when it is told to.
import type { KubeObject, OwnerReference } from '../../../src/api/kube-object.ts';

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

export interface GarbageWorld {
  /** All objects of all kinds. */
  all(): readonly KubeObject[];
  delete(object: KubeObject): void;
  /** Replaces its finalizers or its owners. */
  change(
    object: KubeObject,
    metadata: { finalizers?: readonly string[]; ownerReferences?: readonly OwnerReference[] },
  ): void;
}

/** One round; false: there was nothing to do. */
export function collectOnce(world: GarbageWorld): boolean {
  const objects = world.all();
  const byUid = new Map(objects.map((object) => [object.metadata.uid, object]));
  return (
    objects.some((object) => finishOwner(world, object, dependentsOf(objects, object))) ||
    objects.some((object) => deleteIfOwnerless(world, object, byUid))
  );
}

function dependentsOf(objects: readonly KubeObject[], owner: KubeObject): KubeObject[] {
  return objects.filter((object) =>
    object.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid),
  );
}

// An owner that waits for its dependents: to be deleted (foreground), or to be let go (orphan).
function finishOwner(world: GarbageWorld, owner: KubeObject, dependents: readonly KubeObject[]): boolean {
  const { deletionTimestamp, finalizers = [], uid } = owner.metadata;
  if (deletionTimestamp === undefined) return false;
  const without = (name: string): void => {
    world.change(owner, { finalizers: finalizers.filter((finalizer) => finalizer !== name) });
  };
  if (finalizers.includes(ORPHAN)) {
    for (const dependent of dependents)
      world.change(dependent, {
        ownerReferences: (dependent.metadata.ownerReferences ?? []).filter(
          (reference) => reference.uid !== uid,
        ),
      });
    without(ORPHAN);
    return true;
  }
  if (!finalizers.includes(FOREGROUND)) return false;
  const undeleted = dependents.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  for (const dependent of undeleted) world.delete(dependent);
  const isBlocked = dependents.some(({ metadata }) =>
    metadata.ownerReferences?.some(
      (reference) => reference.uid === uid && reference.blockOwnerDeletion === true,
    ),
  );
  if (!isBlocked) without(FOREGROUND);
  return !isBlocked || undeleted.length > 0;
}

function deleteIfOwnerless(
  world: GarbageWorld,
  object: KubeObject,
  byUid: ReadonlyMap<string | undefined, KubeObject>,
): boolean {
  const { ownerReferences = [], deletionTimestamp, namespace } = object.metadata;
  if (ownerReferences.length === 0 || deletionTimestamp !== undefined) return false;
  const hasOwner = ownerReferences.some(({ uid }) => {
    const owner = byUid.get(uid);
    // An owner in another namespace is none.
    return owner !== undefined && (owner.metadata.namespace ?? namespace) === namespace;
  });
  if (hasOwner) return false;
  world.delete(object);
  return true;
}
