// Bytes cut into pieces of given sizes, in turn; without sizes, in one piece.

export function inChunks(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let start = 0; start < bytes.length;) {
    const size = sizes[chunks.length % Math.max(1, sizes.length)] ?? bytes.length;
    // A size of 0 would never come to an end.
    const end = start + Math.max(1, size);
    chunks.push(bytes.subarray(start, end));
    start = end;
  }
  return chunks;
}
