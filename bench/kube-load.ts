// Processes that put load on a lab's API server from inside its network, so that no relay stands between, and what they say.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { API_INSIDE, type ControlPlane } from '../hack/kube/control-plane.ts';
import { kubeconfig } from '../hack/kube/lab-users.ts';
import { ended } from '../hack/lab/program.ts';
import type { Answer, Call, Usage } from './inside/kube-worker.ts';

export interface LoadProcess {
  /** Rejects with what the other side says, and when it is gone. */
  readonly call: <T>(name: string, argument?: unknown) => Promise<T>;
  readonly stop: () => Promise<void>;
}

/** Words before a program that runs in the lab's network and dies with us. */
function inside({ node }: ControlPlane): readonly [string, ...string[]] {
  return ['nsenter', `--net=/proc/${node.initPid}/ns/net`, 'setpriv', '--pdeathsig', 'KILL'];
}

/** `script`: of bench/inside. */
export function startLoad(plane: ControlPlane, script: string): LoadProcess {
  const [enter, ...words] = inside(plane);
  const child = fork(join(import.meta.dirname, 'inside', script), {
    execPath: enter,
    execArgv: [...words, process.execPath, '--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  child.on('message', (message) => {
    const answer = message as Answer;
    const caller = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) caller?.reject(new Error(`${script}: ${answer.error}`));
    else caller?.resolve(answer.value);
  });
  child.on('exit', (code, signal) => {
    for (const { reject } of waiting.values())
      reject(new Error(`${script} ended: ${String(code ?? signal)}`));
    waiting.clear();
  });
  let calls = 0;
  return {
    call: <T>(name: string, argument: unknown = null) =>
      new Promise<T>((resolve, reject) => {
        calls += 1;
        waiting.set(calls, { resolve: resolve as (value: unknown) => void, reject });
        child.send({ id: calls, name, argument } satisfies Call);
      }),
    stop: async () => {
      if (child.connected) child.disconnect();
      await ended(child);
    },
  };
}

/** Of all processes together. */
export async function usageOf(loads: readonly LoadProcess[]): Promise<Usage> {
  const all = await Promise.all(loads.map((load) => load.call<Usage>('usage')));
  return {
    cpuMs: sum(all.map(({ cpuMs }) => cpuMs)),
    rssBytes: sum(all.map(({ rssBytes }) => rssBytes)),
    heapBytes: sum(all.map(({ heapBytes }) => heapBytes)),
  };
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** `items` in `count` parts of about the same length. */
export function inParts<T>(items: readonly T[], count: number): T[][] {
  return Array.from({ length: count }, (_, part) => items.filter((_item, index) => index % count === part));
}

/** A kubeconfig for a program inside; with `token` in place of the user's own. */
export function insideKubeconfig(plane: ControlPlane, user: string, token?: string): string {
  const text = kubeconfig(API_INSIDE, plane.ca, user);
  return token === undefined ? text : text.replace(plane.tokenOf(user), token);
}

/** A program of this machine in the lab's network; its pid is its own from the start. */
export function spawnInside(plane: ControlPlane, argv: readonly string[]): ChildProcess {
  const [enter, ...words] = inside(plane);
  return spawn(enter, [...words, ...argv], { stdio: ['ignore', 'inherit', 'inherit'] });
}
