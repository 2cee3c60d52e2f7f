// What the API server and other processes of a lab cost: CPU and memory from /proc, requests from the server's own metrics, connections from the kernel.
import { readFileSync } from 'node:fs';
import type { ControlPlane } from '../hack/kube/control-plane.ts';

/** USER_HZ of every Linux that Node runs on. */
const MS_PER_TICK = 10;

/** Requests by "VERB resource[/subresource]", of which the metrics tell. */
export type Requests = ReadonlyMap<string, number>;

export interface ProcessMeter {
  /** utime + stime since its start; in steps of 10 ms. */
  readonly cpuMs: () => number;
  readonly rssMib: () => number;
}

export interface ApiMeter extends ProcessMeter {
  /** Costs the server some 50 ms of CPU: ask outside of what is measured. Without leases, and without what is no resource (health, metrics, discovery). */
  readonly requests: () => Promise<Requests>;
  /** TCP connections that were accepted in the lab's network, to this day. */
  readonly connections: () => number;
}

export function processMeter(folder: string): ProcessMeter {
  const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8');
  return {
    cpuMs: () => {
      const fields = read('stat').split(') ').at(-1)?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
    },
    rssMib: () => Number(/^VmRSS:\s+(\d+) kB/m.exec(read('status'))?.[1] ?? 'NaN') / 1024,
  };
}

export function apiMeter(plane: ControlPlane): ApiMeter {
  const root = plane.node.rootPath;
  const pid = readFileSync(`${root}/run/kube-apiserver.1.pid`, 'utf8').trim();
  return {
    ...processMeter(`${root}/proc/${pid}`),
    requests: async () => parseRequests((await plane.request({ path: '/metrics' })).text),
    connections: () => {
      const [names, values] = readFileSync(`/proc/${plane.node.initPid}/net/snmp`, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('Tcp:'))
        .map((line) => line.split(' '));
      return Number(values?.[names?.indexOf('PassiveOpens') ?? -1]);
    },
  };
}

function parseRequests(metrics: string): Requests {
  const counts = new Map<string, number>();
  for (const line of metrics.split('\n')) {
    const [, labels, value] = /^apiserver_request_total\{([^}]*)\} (\S+)$/.exec(line) ?? [];
    if (labels === undefined) continue;
    const of = (name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    const resource = of('resource');
    if (resource === '' || resource === 'leases') continue;
    const subresource = of('subresource');
    const key = `${of('verb')} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
    counts.set(key, (counts.get(key) ?? 0) + Number(value));
  }
  return counts;
}

/** What came between the two, without zeros, most first. */
export function requestsBetween(before: Requests, after: Requests): [string, number][] {
  return [...after]
    .map(([key, count]): [string, number] => [key, count - (before.get(key) ?? 0)])
    .filter(([, count]) => count > 0)
    .sort(([, one], [, other]) => other - one);
}
