// What is known of glibc's heap inside CRIU: how large blocks really are, and how far CRIU may read behind one before the outcome is open.

/** Usable bytes of a malloc block on 64 bit: a multiple of 16 plus 8, at least 24 (glibc 2.43 malloc.c). */
export function usableBytes(requested: number): number {
  return Math.max(24, Math.ceil((requested + 8) / 16) * 16 - 8);
}

/**
 * Bytes behind a block of so many usable bytes in which CRIU met no second word when it looked for one there. Small blocks lie among those of
 * its TLS library (names, pointers, hardly a blank); larger ones near CRIU's own copies of lines, which are full of blanks.
 * Measured: CRIU 4.2.1, runc 1.3.6, quoted values with 11 to 200,000 blanks before them.
 */
function harmlessBytesBehind(block: number): number {
  if (block <= 24) return 65_536;
  return block <= 40 ? 40 : 150;
}

/** Whether looking for a blank from `offset` in a block of `requested` bytes leaves CRIU's answer as it is. */
export function isHarmlessRead(requested: number, offset: number): boolean {
  const block = usableBytes(requested);
  return offset - block < harmlessBytesBehind(block);
}
