// Names and file systems of the kernel's own files, which look like deleted files in /proc but are none. Knows no process.

/** What the kernel appends to the path of a file that lost its name. */
export const DELETED_SUFFIX = ' (deleted)';

/** f_type of statfs(2): linux/magic.h, CRIU 4.2 criu/include/fs-magic.h. */
export const FILE_SYSTEM = {
  devpts: 0x1cd1,
  hugetlbfs: 0x958458f6,
  mqueue: 0x19800202,
  nfs: 0x6969,
  overlay: 0x794c7630,
  procfs: 0x9fa0,
  secretmem: 0x5345434d,
  tmpfs: 0x01021994,
} as const;

const KERNEL_NAMES: readonly RegExp[] = [
  /^\/memfd:/,
  /^\/dev\/zero \(deleted\)$/,
  /^\/SYSV[0-9a-f]{8} \(deleted\)$/,
  /^\/anon_hugepage \(deleted\)$/,
  /^\/\[aio\] \(deleted\)$/,
  /^\/dmabuf:/,
  /^\/drm mm object \(deleted\)$/,
  /^\/i915 \(deleted\)$/,
];

/**
 * Whether the kernel gives this link text to memory of its own (memfd, shared anonymous memory, System V shared memory,
 * huge pages, AIO rings, GPU buffers). A user's file can have the same text: the device decides, see classify.ts.
 */
export function isKernelName(text: string): boolean {
  return KERNEL_NAMES.some((pattern) => pattern.test(text));
}

export function isMarkedDeleted(text: string): boolean {
  return text.endsWith(DELETED_SUFFIX);
}

export function withoutDeletedMark(text: string): string {
  return isMarkedDeleted(text) ? text.slice(0, -DELETED_SUFFIX.length) : text;
}

/** Whether an NFS client made this name for a file that was removed while open: `.nfs` and 24 hex digits (CRIU 4.2 criu/files-reg.c). */
export function isSillyRenamed(text: string): boolean {
  return /^\.nfs[0-9a-fA-F]{24}/.test(text.slice(text.lastIndexOf('/') + 1));
}
