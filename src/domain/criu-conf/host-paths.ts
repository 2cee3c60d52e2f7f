// Which directories may be taken for granted when only the bytes of a file are known. Looks at no file system.

/** Answers whether a directory exists; for relative paths the directory that CRIU is started in is not known. */
export type DirectoryExists = (path: string) => boolean;

const EVERYWHERE = new Set([
  '/',
  '/bin',
  '/dev',
  '/dev/shm',
  '/etc',
  '/home',
  '/proc',
  '/proc/self',
  '/root',
  '/run',
  '/sys',
  '/tmp',
  '/usr',
  '/usr/bin',
  '/usr/lib',
  '/var',
  '/var/lib',
  '/var/log',
  '/var/tmp',
]);

/** The default: directories that every Linux host has, and `.` and `..`. */
export const existsEverywhere: DirectoryExists = (path) => {
  const plain = path.replaceAll(/\/+/g, '/').replaceAll(/\/\.(?=\/|$)/g, '');
  const trimmed = plain.length > 1 ? plain.replace(/\/$/, '') : plain;
  if (/^\.{1,2}(?:\/\.{1,2})*$/.test(trimmed)) return true;
  return path.startsWith('/') && EVERYWHERE.has(trimmed === '' ? '/' : trimmed);
};

/** The directory part of a file's path; `.` when it has none. */
export function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash === -1) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}
