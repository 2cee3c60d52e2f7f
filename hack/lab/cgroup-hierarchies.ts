// Knows where this machine's cgroup controllers are mounted (v1, hybrid or v2), so that a lab can have its own part of each.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

export interface CgroupHierarchy {
  version: 1 | 2;
  /** Where the machine has it, such as /sys/fs/cgroup/memory. */
  mountPoint: string;
  /** Where a lab node has it. */
  insidePath: string;
  /** For mount(8): `memory`, `cpu,cpuacct`, `none,name=systemd`; empty for v2. */
  mountOptions: string;
}

const NOT_CONTROLLERS =
  /^(rw|ro|xattr|clone_children|release_agent=.*|noprefix|nsdelegate|memory_.*|favordynmods|pids_.*)$/;

function mountOptions(superOptions: string): string {
  const kept = superOptions.split(',').filter((option) => !NOT_CONTROLLERS.test(option));
  return kept.every((option) => option.startsWith('name=')) ? ['none', ...kept].join(',') : kept.join(',');
}

/**
 * The hierarchies in a mountinfo text (proc(5)). In hybrid mode the unified one has no controllers and is left out:
 * with it mounted every checkpoint in the node hangs for 10 s (measured), and crun refuses to work.
 */
export function parseCgroupHierarchies(mountinfo: string): CgroupHierarchy[] {
  const found = mountinfo.split('\n').flatMap((line): CgroupHierarchy[] => {
    const [left = '', right = ''] = line.split(' - ');
    const mountPoint = left.split(' ')[4];
    const [type, , superOptions = ''] = right.split(' ');
    if (mountPoint === undefined || (type !== 'cgroup' && type !== 'cgroup2')) return [];
    if (type === 'cgroup2')
      return [{ version: 2, mountPoint, insidePath: '/sys/fs/cgroup', mountOptions: '' }];
    const insidePath = `/sys/fs/cgroup/${basename(mountPoint)}`;
    return [{ version: 1, mountPoint, insidePath, mountOptions: mountOptions(superOptions) }];
  });
  const v1 = found.filter((hierarchy) => hierarchy.version === 1);
  return v1.length > 0 ? v1 : found.slice(0, 1);
}

/** The hierarchies of this machine; throws when no cgroup file system is mounted. */
export function readCgroupHierarchies(): CgroupHierarchy[] {
  const hierarchies = parseCgroupHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'));
  if (hierarchies.length === 0)
    throw new Error('No cgroup file system is mounted on this machine: mount one at /sys/fs/cgroup.');
  return hierarchies;
}
