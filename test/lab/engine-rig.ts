// One container engine in the lab node behind its adapter, as the contract of the port wants to see it.
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { countEach, MAKE_WAITING_PLACE } from '../../hack/lab/ghost-holders.ts';
import type { LabNode } from '../../hack/lab/lab-node.ts';
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { ChildProcessRunner } from '../../src/adapters/process/child-process-runner.ts';
import { findRuntimes } from '../../src/adapters/runtimes/find-runtimes.ts';
import type { FindRuntimesOptions } from '../../src/adapters/runtimes/find-runtimes.ts';
import type { ContainerRuntime, RuntimeName } from '../../src/ports/container-runtime.ts';
import type { Log } from '../../src/ports/log.ts';
import type { ProcessRunner } from '../../src/ports/process-runner.ts';
import { until } from '../contract/container-runtime.contract.ts';
import type { RuntimeRig } from '../contract/container-runtime.contract.ts';

/** How containers of one engine are started and ended in the lab, by the engine's own means. */
export interface LabEngine {
  readonly name: RuntimeName;
  readonly ociRuntime: RuntimeRig['ociRuntime'];
  readonly keeps: RuntimeRig['keeps'];
  /** Gives its id. */
  start(name: string, args: readonly string[], labels: Record<string, string>): Promise<string>;
  kill(id: string): Promise<unknown>;
  remove(id: string): Promise<unknown>;
}

export const ARCHIVES = '/run/archives';
const CRIU_FILE = '/etc/criu/runc.conf';
const HANG_SCRIPT = '/run/hang.sh';
const HANGING = '/run/hanging';
const LET_GO = '/run/let-go';

export const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** What hangDumps of the rigs needs in the node; once. */
export async function prepareHang(node: LabNode): Promise<void> {
  // Then the processes are stopped. The network is locked only where a container has one of its own. It waits at most two minutes, in case nobody lets go.
  const script = `#!/bin/sh\ncase "$CRTOOLS_SCRIPT_ACTION" in network-lock|post-dump) ;; *) exit 0;; esac\nn=0; : > ${HANGING}; while [ ! -e ${LET_GO} ] && [ $n -lt 1200 ]; do n=$((n+1)); sleep 0.1; done\nexit 0\n`;
  await node.writeFile(HANG_SCRIPT, script);
  await node.run(['chmod', '755', HANG_SCRIPT]);
}

/** Runs programs inside the node by the real runner. SIGTERM ends nsenter, and with it what it became. */
export function insideRunner(node: LabNode): ProcessRunner {
  const runner = new ChildProcessRunner();
  const enter = [
    `--target=${node.initPid.toString()}`,
    '--mount',
    '--net',
    '--pid',
    '--uts',
    '--ipc',
    '--cgroup',
  ];
  const clean = [
    'setpriv',
    '--pdeathsig',
    'TERM',
    'env',
    '-i',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    'HOME=/root',
  ];
  return {
    run: (command, args, options) => runner.run('nsenter', [...enter, ...clean, command, ...args], options),
  };
}

export function runtimeOptions(node: LabNode): FindRuntimesOptions {
  return {
    runner: insideRunner(node),
    hostRoot: node.rootPath,
    procRoot: join(node.rootPath, 'proc'),
    clock: systemClock,
    log: silent,
    // Over a link of the node's own (/var/run), which must not be followed by this machine.
    dockerSocket: '/var/run/docker.sock',
    podmanSocket: '/var/run/podman/podman.sock',
    criSocket: '/var/run/containerd/containerd.sock',
    runcRoots: ['/run/runc'],
  };
}

export async function runtimeNamed(node: LabNode, name: RuntimeName): Promise<ContainerRuntime> {
  const { present, absent } = await findRuntimes(runtimeOptions(node));
  const found = present.find(({ runtime }) => runtime.name === name);
  if (found === undefined) throw new Error(`${name} is not found: ${JSON.stringify(absent)}`);
  return found.runtime;
}

/** The program of a container that holds a deleted /tmp/ghost.so of so many bytes and counts in /tmp/counter. */
export function ghostProgram(ghostBytes: number): string[] {
  const hold = `exec 3<>/tmp/ghost.so; head -c ${ghostBytes.toString()} /dev/zero >&3; rm /tmp/ghost.so`;
  return ['/bin/sh', '-c', `${MAKE_WAITING_PLACE}; ${hold}; ${countEach(0.1)}`];
}

let started = 0;

/** Of the engine's own adapter, unless `adapter` is another way to it. */
export async function labRig(
  node: LabNode,
  engine: LabEngine,
  adapter: ContainerRuntime | null = null,
): Promise<RuntimeRig> {
  const runtime = adapter ?? (await runtimeNamed(node, engine.name));
  // Asked once: Podman answers no question about a container while it is dumped.
  const pids = new Map<string, number>();
  const counterOf = async (id: string): Promise<string> =>
    (await node.exec(['cat', `/proc/${(pids.get(id) ?? 0).toString()}/root/tmp/counter`])).stdout.trim();
  return {
    runtime,
    archiveDirectory: ARCHIVES,
    ociRuntime: engine.ociRuntime,
    keeps: engine.keeps,
    start: async ({ ghostBytes, labels = {} }) => {
      started += 1;
      const id = await engine.start(`c${started.toString()}x`, ghostProgram(ghostBytes), labels);
      pids.set(id, (await runtime.find(id))?.pid ?? 0);
      await until(async () => (await counterOf(id)) !== '');
      return id;
    },
    stopContainer: async (id) => {
      await engine.kill(id);
    },
    setCriuFile: async (content) => {
      await (content === null ? node.run(['rm', '-f', CRIU_FILE]) : node.writeFile(CRIU_FILE, content));
    },
    hangDumps: async () => {
      await node.writeFile(CRIU_FILE, `action-script ${HANG_SCRIPT}\n`);
      return {
        isHanging: async () => (await node.readFile(HANGING)) !== null,
        letGo: () => node.writeFile(LET_GO, ''),
      };
    },
    counter: async (id) => Number(await counterOf(id)),
    look: (path) => Promise.resolve(look(join(node.rootPath, path))),
    dispose: async () => {
      // In case a test failed while a dump hung.
      await node.writeFile(LET_GO, '');
      for (const id of pids.keys()) await engine.remove(id);
      await node.run(['rm', '-rf', ARCHIVES, CRIU_FILE, HANGING, LET_GO]);
    },
  };
}

function look(path: string): { sizeBytes: number; openModes: string[] } | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  const openModes = (stat.mode & 0o077) === 0 ? [] : [path];
  if (!stat.isDirectory()) return { sizeBytes: stat.size, openModes };
  const below = readdirSync(path).map((name) => look(join(path, name)));
  return {
    sizeBytes: below.reduce((sum, entry) => sum + (entry?.sizeBytes ?? 0), 0),
    // Docker's folder itself is 0700, and nobody gets past it.
    openModes,
  };
}
