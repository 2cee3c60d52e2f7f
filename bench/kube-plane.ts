// A lab's API server with the operator's kinds, roles and admission policies on it, filled with nodes and pods that are objects only, and the meters at it.
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKPOINT_PLANS, NODES, PODS } from '../src/api/kube-resources.ts';
import { apiVersionOf, type KubeObject } from '../src/api/kube-object.ts';
import { AGENT_POD_LABELS, SYSTEM_NAMESPACE } from '../src/api/names.ts';
import { PLAN_NAMES } from '../src/domain/plan/plan-shards.ts';
import type { KubeApi } from '../src/ports/kube-api.ts';
import { startInstalledPlane, type InstalledPlane } from '../test/kube/installed-plane.ts';
import { inTurns } from './inside/kube-worker.ts';
import { insideKubeconfig, startLoad, type LoadProcess } from './kube-load.ts';
import { apiMeter, type ApiMeter } from './kube-meter.ts';

export type Print = (line: string) => void;

/** Nobody asks anything: so long, milliseconds. */
const IDLE_MS = 30_000;
const AT_ONCE = 16;

export interface BenchPlane {
  readonly plane: InstalledPlane;
  readonly admin: KubeApi;
  readonly api: ApiMeter;
  /** Applies objects from inside, as admin. */
  readonly writer: LoadProcess;
  /** To be ended before the plane. */
  readonly stops: (() => Promise<void>)[];
}

/** Runs `section` on a plane of its own, and ends all of it whatever happens. */
export async function onBenchPlane(section: (bench: BenchPlane) => Promise<void>): Promise<void> {
  const plane = await startInstalledPlane('install.yaml');
  const stops: (() => Promise<void>)[] = [];
  try {
    const writer = startLoad(plane, 'kube-writer.ts');
    stops.push(() => writer.stop());
    await writer.call('connect', insideKubeconfig(plane, 'admin'));
    await section({ plane, admin: plane.as({ user: 'admin' }), api: apiMeter(plane), writer, stops });
  } finally {
    for (const stop of stops.toReversed()) await stop();
    await plane.stop();
  }
}

export function nodeNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `node-${index.toString().padStart(4, '0')}`);
}

/** The id of the container of the pod web of the node. */
export function webContainerId(nodeName: string): string {
  return `web-${nodeName}`;
}

/** A Ready node, a running pod `app: web` on it, and a running pod of the agent, which are objects only. */
export async function createNodes(admin: KubeApi, names: readonly string[]): Promise<void> {
  await inTurns(names, AT_ONCE, async (name) => {
    await admin.create(NODES, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    });
    await runPod(admin, { name: webContainerId(name), namespace: 'default', labels: { app: 'web' } }, name);
    const agent = { name: `agent-${name}`, namespace: SYSTEM_NAMESPACE, labels: { ...AGENT_POD_LABELS } };
    await runPod(admin, agent, name);
  });
}

async function runPod(
  admin: KubeApi,
  metadata: KubeObject['metadata'] & { readonly namespace: string },
  nodeName: string,
): Promise<void> {
  const [name, image] = ['app', 'registry.example/app:1'];
  const spec = { nodeName, containers: [{ name, image }] };
  await admin.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata, spec });
  const containerID = `containerd://${metadata.name}`;
  const container = { name, image, imageID: image, ready: true, restartCount: 0, containerID };
  const conditions = [{ type: 'Ready', status: 'True' }];
  const status = { phase: 'Running', conditions, containerStatuses: [container] };
  await admin.mergePatch(PODS, metadata, { status }, { fieldManager: 'bench', subresource: 'status' });
}

/** Sixteen plans of about 5 KB as the API server sends them. `round` makes them differ. */
export function planObject(name: string, round: number): KubeObject {
  const policies = Array.from({ length: PLAN_POLICIES }, (_, index) => ({
    namespace: `team-${index}`,
    name: `policy-${index}`,
    uid: `00000000-0000-4000-8000-${index.toString().padStart(12, '0')}`,
    generation: round,
    mode: 'Enforce',
    scope: 'Node',
    options: [],
    targets: [{ name: 'web', selector: { matchLabels: { app: `web-${index}` } }, limitBytes: 4_194_304 }],
  }));
  return {
    apiVersion: apiVersionOf(CHECKPOINT_PLANS),
    kind: CHECKPOINT_PLANS.kind,
    metadata: { name },
    spec: { policies },
  };
}

const PLAN_POLICIES = 17;

/** Returns how many bytes the first of them has. */
export async function createPlans(admin: KubeApi): Promise<number> {
  for (const name of PLAN_NAMES)
    await admin.apply(CHECKPOINT_PLANS, planObject(name, 1), { fieldManager: 'bench', force: true });
  const plan = await admin.get(CHECKPOINT_PLANS, { name: PLAN_NAMES[0] ?? '' });
  return JSON.stringify(plan).length;
}

/** CPU of the API server while nobody asks anything, milliseconds of CPU a second. */
export async function idleRate({ api }: Pick<BenchPlane, 'api'>): Promise<number> {
  const before = api.cpuMs();
  await sleep(IDLE_MS);
  return ((api.cpuMs() - before) * 1000) / IDLE_MS;
}

/** Looks every 200 ms until `isDone`; after ten minutes it throws. */
export async function until(what: string, isDone: () => Promise<boolean>): Promise<void> {
  const giveUpAtMs = performance.now() + 600_000;
  while (!(await isDone())) {
    if (performance.now() > giveUpAtMs) throw new Error(`waited in vain for ${what}`);
    await sleep(200);
  }
}
