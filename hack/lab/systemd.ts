// A real systemd in a lab node, as pid 1 of namespaces of its own, on the unified cgroup hierarchy: the node's Docker, the product's unit and systemctl work in
// it as on a host. Also on machines whose controllers are in cgroup v1, which systemd knows no more: the unified hierarchy has then no controllers, but does for this.
import { spawn } from 'node:child_process';
import type { ChildProcess, ChildProcessWithoutNullStreams } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecOptions, LabNode } from './lab-node.ts';
import { OPEN_ONCE, REPLACE_FILE } from './node-scripts.ts';
import { ended, forEachLine } from './program.ts';

/** What boots a machine and has no business in a lab, most of all sysctl and device nodes: these are the machine's. */
const LEFT_OUT =
  '/usr/lib/systemd/system/sysinit.target.wants/* /usr/lib/systemd/system/local-fs.target.wants/*';
const START_TIMEOUT_MS = 120_000;

/** $1: the name of the cgroup, which comes first, so that it is the root of the cgroup namespace. */
const ENTER = `set -eu
place=/run/lab-unified
mkdir -p $place
mount -t cgroup2 cgroup2 $place
mkdir -p $place/$1
echo 0 > $place/$1/cgroup.procs
umount $place
exec unshare --cgroup unshare --mount --pid --fork --uts --kill-child=KILL --propagation private bash -c "$2"`;

/** Runs on the machine until its stdin ends, however its starter ends, and then removes the cgroup as soon as it is empty. $1: its directory. */
const SWEEPER = `trap '' HUP INT TERM
while read -r _; do :; done
for try in $(seq 1200); do
  [ -d "$1" ] || exit 0
  find "$1" -depth -type d -exec rmdir {} + 2> /dev/null
  sleep 0.05
done
exit 1`;

/** Prints its pid as the node counts; the log of systemd and its services goes to this program's standard error. */
const BOOT = `set -eu
read -r pid _ < /proc/self/stat
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system
for unit in ${LEFT_OUT} modprobe@.service systemd-remount-fs.service; do
  name=$(basename $unit)
  case $name in systemd-journald.service) ;; *) ln -s /dev/null /run/systemd/system/$name ;; esac
done
# As systemd finds the root of a machine, and leaves it.
mount --make-rshared /
echo "pid $pid"
exec env -i container=lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin /usr/lib/systemd/systemd --unit=sysinit.target --log-target=console >&2`;

/** The node as seen beside systemd: with a pid namespace, /run and cgroups of its own. Its stop ends systemd and all below it, not the node. 0.5 s. */
export async function startSystemd(node: LabNode): Promise<LabNode> {
  const cgroup = `${node.cgroupName}-systemd`;
  const sweeper = startSweeper(cgroup);
  const starter = node.spawn(['bash', '-c', ENTER, 'enter', cgroup, BOOT]);
  let pid = '';
  const host = within(node, () => pid);
  const stop = async (): Promise<void> => {
    starter.kill('SIGKILL');
    if (pid !== '') await node.exec(['kill', '-KILL', pid]);
    await ended(starter);
    sweeper.stdin.end();
    await ended(sweeper);
  };
  try {
    pid = await waitForPid(starter);
    await waitForSystemd(host);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...host, stop };
}

/** With the pid of systemd as the node counts. Rejects with what was said when it ends before it has one. */
function waitForPid(starter: ChildProcess): Promise<string> {
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    if (starter.stderr !== null) forEachLine(starter.stderr, (line) => said.push(line));
    if (starter.stdout === null) return;
    forEachLine(starter.stdout, (line) => {
      if (line.startsWith('pid ')) resolve(line.slice(4));
    });
    starter.on('exit', () => {
      reject(new Error(`systemd did not start in the lab node:\n${said.slice(-20).join('\n')}`));
    });
  });
}

async function waitForSystemd(host: LabNode): Promise<void> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while ((await host.exec(['systemctl', 'is-active', 'sysinit.target'])).code !== 0) {
    if (Date.now() > giveUpAt) throw new Error('systemd did not get to its sysinit.target in the lab node');
    await sleep(50);
  }
}

/** Where the node's own part of the unified hierarchy is in cgroup v1, which no keeper cleans. On v2 the cgroup is in the node's, and the sweeper finds nothing. */
function startSweeper(cgroup: string): ChildProcessWithoutNullStreams {
  const [, mountPoint = '/sys/fs/cgroup'] =
    /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8')) ?? [];
  const [, own = '/'] = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8')) ?? [];
  const argv = ['-c', SWEEPER, 'ghostlimit-lab-sweeper', join(mountPoint, own, cgroup)];
  return spawn('bash', argv, { detached: true, cwd: '/', stdio: 'pipe' });
}

function within(node: LabNode, pid: () => string): LabNode {
  const inside = (argv: readonly string[], { cwd = '/' }: ExecOptions = {}): string[] => [
    ...['nsenter', `--target=${pid()}`, '--mount', '--pid', '--uts', '--cgroup', '--'],
    ...['sh', '-c', 'cd "$1" && shift && exec "$@"', 'inside', cwd, ...argv],
  ];
  const outside = ({ cwd: _cwd, ...options }: ExecOptions = {}): ExecOptions => options;
  return {
    ...node,
    exec: (argv, options) => node.exec(inside(argv, options), outside(options)),
    run: (argv, options) => node.run(inside(argv, options), outside(options)),
    spawn: (argv, options) => node.spawn(inside(argv, options), outside(options)),
    readFile: async (path) => {
      const text = await node.run(inside([...OPEN_ONCE, path, 'base64', '-w', '0']));
      return text === '' ? null : Buffer.from(text.slice(1), 'base64');
    },
    writeFile: async (path, bytes) => {
      await node.run(inside(['sh', '-c', REPLACE_FILE, 'write', path]), { input: bytes });
    },
  };
}
