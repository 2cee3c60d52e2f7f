// The files of a host that an adapter reads about processes and cgroups, in a folder of the disk.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface FakeNodeRoot {
  readonly path: string;
  readonly procRoot: string;
  write(path: string, text: string): void;
  remove(path: string): void;
  /** A process of that cgroup text, started at that tick. */
  process(
    pid: number,
    given: {
      readonly cgroup: string;
      readonly parentPid?: number;
      readonly startTicks?: number;
      readonly state?: string;
      readonly tracerPid?: number;
    },
  ): void;
  dispose(): void;
}

export function fakeNodeRoot(): FakeNodeRoot {
  const path = mkdtempSync(join(tmpdir(), 'ghostlimit-node-root-'));
  const write = (name: string, text: string): void => {
    const file = join(path, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  };
  mkdirSync(join(path, 'proc'));
  return {
    path,
    procRoot: join(path, 'proc'),
    write,
    remove: (name) => {
      rmSync(join(path, name), { recursive: true, force: true });
    },
    process: (pid, { cgroup, parentPid = 1, startTicks = 100, state = 'S', tracerPid = 0 }) => {
      const zeros = Array.from({ length: 17 }, () => '0').join(' ');
      write(
        `proc/${pid.toString()}/stat`,
        `${pid.toString()} (a ) b) ${state} ${parentPid.toString()} ${zeros} ${startTicks.toString()} 0 0\n`,
      );
      write(`proc/${pid.toString()}/cgroup`, cgroup);
      write(`proc/${pid.toString()}/status`, `Name:\tx\nTracerPid:\t${tracerPid.toString()}\n`);
    },
    dispose: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}
