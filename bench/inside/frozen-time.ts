// Runs in a lab node: how long the freezer of a container holds it, looked at about each millisecond until standard input ends. It sleeps between two looks: a busy one would take a core from the dump that it measures. Says "looking", then the figures as JSON.
// Argument: the container's id. The lab has cgroup v1: freezer.state is THAWED, FREEZING or FROZEN.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FrozenTime {
  /** From the first look that was not THAWED to the last, milliseconds; 0: never seen. */
  readonly frozenMs: number;
  readonly looks: number;
}

const [id = ''] = process.argv.slice(2);
const PERIOD_MS = 0.5;
const FREEZER = '/sys/fs/cgroup/freezer';
const [folder] = globSync(`**/*${id}*`, { cwd: FREEZER });
if (folder === undefined) throw new Error(`no freezer of container ${id}`);
const path = join(FREEZER, folder, 'freezer.state');

let ended = false;
let looks = 0;
let frozenMs = 0;
process.stdin.on('data', () => undefined);
process.stdin.once('end', () => {
  ended = true;
});

let frozenSinceMs: number | null = null;
function look(): void {
  looks += 1;
  const frozen = !readFileSync(path, 'latin1').startsWith('THAWED');
  const nowMs = performance.now();
  if (frozen) frozenSinceMs ??= nowMs;
  else if (frozenSinceMs !== null) {
    frozenMs += nowMs - frozenSinceMs;
    frozenSinceMs = null;
  }
}

/** Nobody ever wakes it. */
const idle = new Int32Array(new SharedArrayBuffer(4));

process.stdout.write('looking\n');
function loop(): void {
  const untilMs = performance.now() + 5;
  while (performance.now() < untilMs) {
    look();
    Atomics.wait(idle, 0, 0, PERIOD_MS);
  }
  if (!ended) {
    setImmediate(loop);
    return;
  }
  process.stdout.write(JSON.stringify({ frozenMs, looks } satisfies FrozenTime));
}
loop();
