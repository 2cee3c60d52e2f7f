// The order of resourceVersions, where they have one.

/**
 * Whether `one` is newer than `other`. Kubernetes promises since 1.35 that the resourceVersions of one resource are decimal numbers that grow (KEP-5504);
 * where a server gives something else, everything counts as newer.
 */
export function isNewer(one: string, other: string): boolean {
  if (!isDecimal(one) || !isDecimal(other)) return true;
  return BigInt(one) > BigInt(other);
}

function isDecimal(version: string): boolean {
  return /^\d{1,20}$/.test(version);
}
