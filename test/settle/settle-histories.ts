// Random histories of a whole cluster. When the wanted state stops changing and the faults stop, the world reaches the wanted state and stays there, and falls silent.
// Each history has a seed, named with what happened when it fails.
import { isDeepStrictEqual } from 'node:util';
import { objectKey, type KubeObject } from '../../src/api/kube-object.ts';
import { readRequestFacts } from '../../src/domain/requests/request-facts.ts';
import { LEASES } from '../../src/machinery/lease-record.ts';
import { FAKE_KINDS } from '../fakes/kube/fake-kinds.ts';
import type { KubeCall } from '../fakes/fake-kube.ts';
import { NAMESPACES, heal, randomStep, someNode, someSettings } from './settle-steps.ts';
import { SettleWorld } from './settle-world.ts';
import { differences } from './wanted-world.ts';

export interface SettleTotals {
  histories: number;
  steps: number;
  calls: number;
  failedCalls: number;
  /** Checkpoints asked for, and those of them that were taken. */
  requests: number;
  completeRequests: number;
  /** Of virtual time, seconds, over all histories. */
  slowestSettleSeconds: number;
  slowestSeed: number;
  /** Over all histories, in the quiet time. */
  mostAgentCallsPerHour: number;
  mostControllerCallsPerHour: number;
}

/** Between two steps, at most. Some are longer than the time after which reports are written anew. */
const PAUSES_MS = [0, 300, 3_000, 3_000, 10_000, 10_000, 40_000, 40_000, 100_000, 1_500_000];
const LOOK_MS = 1_000;
/** A key that failed for long waits up to 1,000 s; a policy may have to wait for another such. */
const SETTLE_LIMIT_MS = 40 * 60_000;
const QUIET_MS = 60 * 60_000;
/** Three watches that live 10 to 20 minutes, and the report that is written anew each 10 minutes. */
const AGENT_CALLS_PER_HOUR = 30;
/** Nine watches; what else a leader and a follower ask for concerns the lease. */
const CONTROLLER_CALLS_PER_HOUR = 60;
/** For each policy of which a silent node has a pod, which only a list of pods tells of. */
const LISTS_PER_SILENT_POLICY = 24;
const WRITES: readonly string[] = ['create', 'apply', 'patch', 'update', 'delete'];

export async function runSettleHistories({
  seed,
  count,
}: {
  readonly seed: number;
  readonly count: number;
}): Promise<SettleTotals> {
  const totals: SettleTotals = {
    histories: 0,
    steps: 0,
    calls: 0,
    failedCalls: 0,
    requests: 0,
    completeRequests: 0,
    slowestSettleSeconds: 0,
    slowestSeed: 0,
    mostAgentCallsPerHour: 0,
    mostControllerCallsPerHour: 0,
  };
  for (let index = 0; index < count; index += 1) await new SettleHistory(seed + index, totals).run();
  return totals;
}

class SettleHistory {
  readonly #seed: number;
  readonly #totals: SettleTotals;
  readonly #world: SettleWorld;
  readonly #told: string[] = [];

  constructor(seed: number, totals: SettleTotals) {
    this.#seed = seed;
    this.#totals = totals;
    this.#world = new SettleWorld(seed);
  }

  async run(): Promise<void> {
    const { random, time } = this.#world;
    this.#begin();
    await time.advance(random.chance(0.8) ? 30_000 : 0);
    const steps = 5 + random.below(25);
    for (let step = 0; step < steps; step += 1) {
      this.#tell(await randomStep(random)(this.#world));
      await time.advance(random.pick(PAUSES_MS) * random.next());
    }
    this.#tell(heal(this.#world));
    await this.#settle();
    await this.#stayQuiet();
    this.#count(steps);
    this.#end();
  }

  #begin(): void {
    const world = this.#world;
    world.writeSettings(world.random.chance(0.5) ? '{}' : someSettings(world));
    for (const name of ['n1', 'n2', 'n3']) world.addNode(someNode(world, name));
    for (const namespace of NAMESPACES)
      for (const [name] of world.nodes)
        if (world.random.chance(0.5))
          world.startPod({
            namespace,
            app: 'web',
            nodeName: name,
            ghostBytes: world.random.pick([0, 2_797_568]),
          });
    world.start();
  }

  async #settle(): Promise<void> {
    const { time } = this.#world;
    const startedMs = time.monotonicMs();
    let left = ['not looked at'];
    while (left.length > 0) {
      if (time.monotonicMs() - startedMs > SETTLE_LIMIT_MS) this.#fail('it does not settle', left);
      await time.advance(LOOK_MS);
      this.#check();
      left = differences(this.#world);
    }
    const seconds = (time.monotonicMs() - startedMs) / 1000;
    if (seconds <= this.#totals.slowestSettleSeconds) return;
    Object.assign(this.#totals, { slowestSettleSeconds: seconds, slowestSeed: this.#seed });
  }

  /** What came after the last difference, such as limits that nodes learned a little later, has two minutes. */
  async #stayQuiet(): Promise<void> {
    const { time, kube } = this.#world;
    await time.advance(120_000);
    const before = this.#objects();
    const from = kube.calls.length;
    await time.advance(QUIET_MS);
    this.#check();
    const left = differences(this.#world);
    if (left.length > 0) this.#fail('it does not stay settled', left);
    const after = this.#objects();
    const changed = [...after].filter(([key, now]) => !isDeepStrictEqual(before.get(key), now));
    const said = changed.map(
      ([key, now]) => `${key}: ${JSON.stringify(before.get(key))} became ${JSON.stringify(now)}`,
    );
    if (said.length > 0) this.#fail('it goes on writing', said);
    this.#checkRates(kube.calls.slice(from).filter(({ resource }) => resource !== LEASES.plural));
  }

  #checkRates(calls: readonly KubeCall[]): void {
    const byUser = Map.groupBy(calls, ({ user }) => user);
    for (const [user, own] of byUser) {
      const isAgent = user.startsWith('agent-');
      const limit = isAgent ? AGENT_CALLS_PER_HOUR : CONTROLLER_CALLS_PER_HOUR + this.#silentLists();
      const most = isAgent ? 'mostAgentCallsPerHour' : 'mostControllerCallsPerHour';
      this.#totals[most] = Math.max(this.#totals[most], own.length);
      const kinds = Map.groupBy(own, ({ verb, resource }) => `${verb} ${resource}`);
      const said = [...kinds].map(([kind, { length }]) => `${user}: ${length.toString()} ${kind}`);
      if (own.length > limit) this.#fail(`${user} made ${own.length.toString()} calls in a quiet hour`, said);
      const writes = own.filter(
        ({ verb, resource }) => WRITES.includes(verb) && !(isAgent && resource === 'checkpointnodes'),
      );
      if (writes.length > 0) this.#fail(`${user} writes in a quiet hour`, said);
    }
  }

  #silentLists(): number {
    const isAllReady = [...this.#world.nodes.values()].every(({ ready }) => ready);
    return isAllReady ? 0 : LISTS_PER_SILENT_POLICY * this.#world.policies().length;
  }

  /** Every object but leases, which are renewed as long as somebody leads. */
  #objects(): Map<string, unknown> {
    const { kube } = this.#world;
    const kinds = FAKE_KINDS.map(({ resource }) => resource).filter(({ plural }) => plural !== LEASES.plural);
    const objects = kinds.flatMap((resource) => kube.all(resource));
    return new Map(objects.map((object) => [`${object.kind} ${objectKey(object.metadata)}`, saidBy(object)]));
  }

  #check(): void {
    const { faults, kube, logged } = this.#world;
    if (faults.length > 0) this.#fail('a process failed', faults);
    const refused = kube.calls.filter(({ outcome }) => outcome === 403 || outcome === 422 || outcome === 400);
    if (refused.length > 0)
      this.#fail(
        'the API server refused',
        refused.map((call) => JSON.stringify(call)),
      );
    const bad = logged.filter(
      ({ message }) =>
        message.includes('cannot be read, keeping') || message.includes('handler of a change failed'),
    );
    if (bad.length > 0)
      this.#fail(
        'the log says',
        bad.map((line) => JSON.stringify(line)),
      );
  }

  #count(steps: number): void {
    const { calls } = this.#world.kube;
    const requests = [...this.#world.requests.values()].map(readRequestFacts);
    this.#totals.requests += requests.length;
    this.#totals.completeRequests += requests.filter(({ status }) => status.summary === 'Complete').length;
    this.#totals.histories += 1;
    this.#totals.steps += steps;
    this.#totals.calls += calls.length;
    this.#totals.failedCalls += calls.filter(
      ({ outcome }) => outcome !== 'Ok' && outcome !== 'Pending',
    ).length;
  }

  #end(): void {
    for (const replica of this.#world.replicas) this.#world.killController(replica);
    for (const node of this.#world.nodes.values()) this.#world.killAgent(node);
  }

  #tell(what: string): void {
    this.#told.push(`${(this.#world.time.monotonicMs() / 1000).toFixed(1)} s: ${what}`);
  }

  #fail(what: string, details: readonly string[]): never {
    const { logged } = this.#world;
    const log = logged
      .slice(-LOG_LINES)
      .map(
        ({ atMs, process, level, message, fields }) =>
          `${(atMs / 1000).toFixed(1)} ${process} ${level} ${message} ${JSON.stringify(fields, errorsAsText)}`,
      );
    this.#end();
    throw new Error(
      [
        `seed ${this.#seed.toString()}: ${what}`,
        ...details,
        'history:',
        ...this.#told,
        'last of the log:',
        ...log,
      ].join('\n  '),
    );
  }
}

/** A list that was emptied goes from an applied object, and comes back, empty, when the same is applied again (measured on kube-apiserver): nobody learns anything from that. */
function saidBy({ metadata, ...object }: KubeObject): unknown {
  const {
    resourceVersion: _revision,
    managedFields: _managed,
    ...rest
  } = metadata as typeof metadata & {
    readonly managedFields?: unknown;
  };
  const status = Object.entries(object['status'] ?? {}).filter(([, value]) => !isDeepStrictEqual(value, []));
  return { ...object, metadata: rest, status: Object.fromEntries(status) };
}

const LOG_LINES = Number(process.env['SETTLE_LOG_LINES'] ?? 30);

function errorsAsText(_name: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}
