// The shell programs that a lab node is made of. They are given their values by environment, never by text put into them.

/**
 * Opens a file once and becomes the program that reads it, as argv before that program: `PATH PROGRAM WORD...`. It prints "x" before anything else when
 * the file is there, and nothing when it is not. Whatever else stands in the way ends it with an error: another process may rename and remove the file
 * at any moment, so nothing is asked beforehand.
 */
export const OPEN_ONCE: readonly string[] = [
  'perl',
  '-e',
  String.raw`
use Errno;
my $path = shift @ARGV;
open(STDIN, "<", $path) or do { exit 0 if $!{ENOENT}; die "cannot open $path: $!\n" };
syswrite(STDOUT, "x") == 1 or die "cannot write: $!\n";
exec { $ARGV[0] } @ARGV or die "cannot run $ARGV[0]: $!\n";
`,
];

/**
 * Puts stdin in the place of the file `$1` in one step, with the folders above it: nobody who looks at it finds half of it, and a program that
 * renames another file over it at the same moment does not make it vanish. Mode and owner stay as they were; a symlink is followed. A file that is
 * itself a mount cannot be replaced.
 */
export const REPLACE_FILE = String.raw`
set -e
path=$(readlink -m -- "$1")
mkdir -p -- "$(dirname -- "$path")"
temporary=$(mktemp -- "$(dirname -- "$path")/.lab-XXXXXXXX")
cat > "$temporary"
chmod --reference="$path" -- "$temporary" 2> /dev/null || chmod 644 -- "$temporary"
chown --reference="$path" -- "$temporary" 2> /dev/null || :
mv -fT -- "$temporary" "$path"
`;

/**
 * The keeper: a process of this machine that outlives whoever started the lab, by no more than a second. It makes the
 * lab's cgroup directories, starts the node in them, and when its stdin ends (the starter called stop, or died in
 * whatever way) it kills what is in the cgroups and removes them. Everything else of a node lives in namespaces.
 *
 * Environment: LAB_CGROUPS (lines of mount point, path inside, options, version, tab between), LAB_ENTER, LAB_INIT.
 */
export const KEEPER = String.raw`
set -u
trap '' HUP INT TERM PIPE
export LAB_CGROUP=ghostlimit-lab-$$
dirs=() mounts=()
while IFS=$'\t' read -r mount _; do
  [ -n "$mount" ] && mounts+=("$mount") && dirs+=("$mount/$LAB_CGROUP")
done <<< "$LAB_CGROUPS"

clean() {
  local tries=0 file
  while ls -d "$@" | grep -q . && [ $((tries += 1)) -lt 3000 ]; do
    find "$@" -name freezer.state | while read -r file; do echo THAWED > "$file"; done
    find "$@" -name cgroup.procs -exec cat {} + | sort -u | grep -vx 0 | xargs -r kill -KILL
    find "$@" -depth -type d -exec rmdir {} +
    [ $tries = 1 ] || sleep 0.02
  done
} 2> /dev/null

# What a keeper left that was itself killed: directories, and processes that were frozen when they should have died.
left=()
for mount in "${'${mounts[@]}'}"; do
  for stale in "$mount"/ghostlimit-lab-*; do
    [ -d "$stale" ] || continue
    grep -qs '^State:.[^ZX]' "/proc/${'${stale##*-}'}/status" || left+=("$stale")
  done
done
[ "${'${#left[@]}'}" = 0 ] || clean "${'${left[@]}'}"

for dir in "${'${dirs[@]}'}"; do
  mkdir "$dir" || { echo "cannot make the cgroup $dir" >&2; clean "${'${dirs[@]}'}"; exit 1; }
  for file in cpuset.cpus cpuset.mems; do
    # A v1 cpuset takes no process before both are set.
    [ -e "$dir/../cgroup.clone_children" ] && [ -e "$dir/$file" ] && cat "$dir/../$file" > "$dir/$file"
  done
done
(
  for dir in "${'${dirs[@]}'}"; do echo 0 > "$dir/cgroup.procs" || exit 1; done
  exec setpriv --pdeathsig KILL unshare --cgroup bash -c "$LAB_ENTER"
) < /dev/null &
exec > /dev/null 2>&1
while read -r _; do :; done
clean "${'${dirs[@]}'}"
wait
`;

/** Runs in the lab's cgroup namespace, still in the machine's file system. A v2 cgroup with children may hold no process. */
export const ENTER = String.raw`
set -eu
while IFS=$'\t' read -r mount _ _ version; do
  [ "$version" = 2 ] || continue
  mkdir "$mount/$LAB_CGROUP/init"
  echo 0 > "$mount/$LAB_CGROUP/init/cgroup.procs"
done <<< "$LAB_CGROUPS"
exec unshare --mount --net --pid --fork --uts --ipc --kill-child=KILL --propagation private bash -c "$LAB_INIT"
`;

/**
 * Pid 1 of the node: mounts its file system, prints "pid N" (as the machine sees it) first and "ready" last, then
 * reaps. Environment: LAB_ROOT, LAB_NAME, LAB_TMPFS (paths), LAB_BINDS (lines of ro|rw, from, to, tab between).
 */
export const INIT = String.raw`
set -eu
unset TMPDIR
trap 'echo "the lab node could not be set up: line $LINENO of its init" >&2' ERR
read -r pid _ < /proc/self/stat
echo "pid $pid"

store=$LAB_ROOT/mnt
mount -t tmpfs -o mode=755 lab "$store"
mkdir "$store/upper" "$store/work" "$store/root"
mount -t overlay overlay -o "lowerdir=$LAB_ROOT,upperdir=$store/upper,workdir=$store/work" "$store/root"
cd "$store/root"
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs tmpfs dev/shm
mount -t proc proc proc
while IFS=$'\t' read -r _ inside options version; do
  if [ "$version" = 2 ]; then
    mount -t cgroup2 cgroup2 "./$inside"
    for controller in $(cat "./$inside/cgroup.controllers"); do
      echo "+$controller" > "./$inside/cgroup.subtree_control" || true
    done
    continue
  fi
  mountpoint -q sys/fs/cgroup || mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  mkdir "./$inside"
  mount -t cgroup -o "$options" cgroup "./$inside"
done <<< "$LAB_CGROUPS"
for path in $LAB_TMPFS; do
  mkdir -p "./$path"
  mount -t tmpfs tmpfs "./$path"
done
while IFS=$'\t' read -r mode from to; do
  [ -n "$mode" ] || continue
  if [ -d "$from" ]; then mkdir -p "./$to"; else mkdir -p "./$(dirname "$to")"; touch "./$to"; fi
  mount --bind "$from" "./$to"
  [ "$mode" = rw ] || mount -o remount,bind,ro "./$to"
done <<< "$LAB_BINDS"
pivot_root . mnt
umount -l /mnt
cd /
exec env -i PATH="$LAB_PATH" HOME=/root LAB_NAME="$LAB_NAME" /bin/bash -c '
  hostname "$LAB_NAME" && ip link set lo up || exit 1
  printf "127.0.0.1 localhost %s\n" "$LAB_NAME" > /etc/hosts
  mkdir -p /etc/criu
  echo ready
  while :; do sleep 1000000 & wait; done'
`;
