// Random histories of one CRIU file: wishes change, users edit, calls fail, the process is killed, the power goes; the real planner and the real writing protocol
// run on a disk in memory. After the last removal the file is exactly the users' text. Each history has a seed, named when it fails.
import { createPosixHostFiles } from '../../src/adapters/host/posix-host-files.ts';
import { CRIU_OPTION_NAMES } from '../../src/api/criu-option.ts';
import { judgeCriuConf, type ConfJudgement } from '../../src/domain/criu-conf/judge.ts';
import {
  CRIU_DEFAULT_LIMIT_BYTES,
  noteOrigin,
  planFile,
  type FileOrigin,
  type FilePlan,
  type FilePlanInput,
} from '../../src/domain/criu-conf/plan-file.ts';
import { HostFileError, type HostFiles } from '../../src/ports/host-files.ts';
import { MemoryDisk } from '../fakes/memory-disk.ts';
import { BLIND_EDITS, EDITS, modelOf, someText, type FileModel } from './file-model.ts';
import { seededRandom, type Random } from './random.ts';

export interface HistoryTotals {
  histories: number;
  writes: number;
  edits: number;
  crashes: number;
  powerCuts: number;
  failures: number;
  lostRaces: number;
}

const DIRECTORY = '/etc/criu';
const PATH = `${DIRECTORY}/runc.conf`;
const LIMITS = [null, 1_048_576n, 3_145_728n, 4_194_304n, 5_000_000n] as const;
const CODES = ['ENOSPC', 'EIO', 'EROFS', 'EBUSY', 'EPERM', 'EACCES'];
const FAILING = ['openForRead', 'openDirectory', 'create', 'read', 'write', 'chmod', 'chown', 'sync', 'close', 'rename', 'unlink'] as const; // prettier-ignore

const latin1 = (content: Uint8Array | null): string | null =>
  content === null ? null : Buffer.from(content).toString('latin1');

/** One node's file, its agent, and what we know that must be true. */
class History {
  readonly #random: Random;
  readonly #disk: MemoryDisk;
  readonly #totals: HistoryTotals;
  readonly #hadDirectory: boolean;
  #files: HostFiles;
  #recovered = false;
  #origin: FileOrigin | null = null;
  #desired: FilePlanInput['desired'] = { ghostLimitBytes: null, options: [] };
  #model: FileModel;

  constructor(seed: number, totals: HistoryTotals) {
    this.#random = seededRandom(seed);
    this.#totals = totals;
    this.#disk = new MemoryDisk(() => this.#random.next());
    this.#disk.mkdir('/etc');
    this.#hadDirectory = this.#random.chance(0.7);
    if (this.#hadDirectory) this.#disk.mkdir(DIRECTORY);
    const original = this.#hadDirectory && this.#random.chance(0.7) ? someText(this.#random) : null;
    this.#model = { content: original, foreign: original, parts: null };
    this.#store();
    this.#files = this.#start();
  }

  async run(): Promise<void> {
    const steps = 4 + this.#random.below(12);
    for (let step = 0; step < steps; step += 1) await this.#step();
    this.#disk.faults.length = 0;
    this.#desired = { ghostLimitBytes: null, options: [] };
    await this.#reconcile();
    this.#checkEnd();
  }

  #start(): HostFiles {
    this.#recovered = false;
    return createPosixHostFiles({
      hostRoot: '/',
      requireRootOwner: true,
      processes: null,
      calls: this.#disk.calls,
    });
  }

  async #step(): Promise<void> {
    const random = this.#random;
    if (random.chance(0.5)) this.#edit();
    if (random.chance(0.5)) this.#wish();
    if (random.chance(0.15)) this.#idlePowerCut();
    if (random.chance(0.25)) await this.#crash();
    else if (random.chance(0.15)) await this.#fail();
    else if (random.chance(0.2)) await this.#race();
    else await this.#reconcile();
  }

  #wish(): void {
    const options = CRIU_OPTION_NAMES.filter(() => this.#random.chance(0.15));
    this.#desired = { ghostLimitBytes: this.#random.pick(LIMITS), options };
  }

  /** Somebody edits the file; blindly when it has changed since we looked at it last. */
  #edit(): void {
    const known = this.#model.parts !== null || this.#model.content === this.#model.foreign;
    this.#model = this.#random.pick(known ? EDITS : BLIND_EDITS)(this.#model, this.#random);
    this.#totals.edits += 1;
    this.#store();
  }

  #store(): void {
    const { content } = this.#model;
    if (latin1(this.#disk.bytes(PATH)) === content) return;
    this.#undecided = [];
    if (content === null) this.#disk.delete(PATH);
    else if (this.#random.chance(0.5)) this.#disk.put(PATH, Buffer.from(content, 'latin1'));
    else this.#disk.putByRename(PATH, Buffer.from(content, 'latin1'));
  }

  /** What was reported as done stays done; a write that failed may come back as either. */
  #idlePowerCut(): void {
    this.#disk.cutPower();
    this.#files = this.#start();
    this.#totals.powerCuts += 1;
    this.#look(this.#model.content);
  }

  /** After failed writes: how the file was before each. Until a pass has ended well, that may come back. */
  #undecided: FileModel[] = [];

  async #reconcile(): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt += 1) if (await this.#pass()) return;
    throw new Error('a pass was disturbed five times');
  }

  /** False: somebody wrote in between. */
  async #pass(): Promise<boolean> {
    const plan = await this.#plan();
    const changed = (await this.#carryOut(plan)) === 'Changed';
    if (changed) {
      this.#totals.lostRaces += 1;
      this.#expectContent([this.#model.content], 'an edit made meanwhile was lost');
      return false;
    }
    this.#undecided = [];
    if (plan.action.kind !== 'Leave')
      this.#model = modelOf(latin1(this.#disk.bytes(PATH)), this.#foreignAfter(plan));
    this.#judge(plan);
    return true;
  }

  async #plan(): Promise<FilePlan> {
    if (!this.#recovered) await this.#files.recover(PATH);
    this.#recovered = true;
    await this.#checkLateWrites();
    this.#snapshot = await this.#files.read(PATH);
    const { content, directoryPresent } = this.#snapshot;
    this.#expectContent([latin1(content)], 'read something else than there is');
    this.#origin = noteOrigin(this.#origin, content, directoryPresent);
    return planFile({
      path: PATH,
      content,
      directoryPresent,
      desired: this.#desired,
      judge: judgeCriuConf,
      origin: this.#origin,
    });
  }

  /** Nobody has the file open over a step. But a kill may leave it under a second name, and when they then edit it and put another in its place, that edit looks like one. */
  async #checkLateWrites(): Promise<void> {
    for (const late of await this.#files.lateWrites(PATH)) {
      if (late.before !== null) throw new Error(`nobody wrote late: ${JSON.stringify(latin1(late.content))}`);
      this.#files.settle(late);
    }
  }

  #snapshot: Awaited<ReturnType<HostFiles['read']>> | null = null;

  async #carryOut({ action }: FilePlan): Promise<string> {
    const snapshot = this.#snapshot;
    if (snapshot === null || action.kind === 'Leave') return 'Left';
    this.#totals.writes += 1;
    if (action.kind === 'Write') return this.#files.replace(snapshot, action.content);
    return this.#files.remove(snapshot, action);
  }

  /** A file that only we made is no file to the users. */
  #foreignAfter({ action }: FilePlan): string | null {
    const { foreign } = this.#model;
    return foreign === '' && action.kind === 'Remove' && this.#origin?.hadFile === false ? null : foreign;
  }

  async #crash(): Promise<void> {
    this.#disk.stopAt(1 + this.#random.below(60), this.#random.chance(0.5) ? 'before' : 'after');
    await this.#disturbedPass();
    if (this.#disk.stopped) this.#comeBack();
    else this.#disk.goOn();
    this.#look(this.#planned);
  }

  /** A new process, on the same kernel or after a power cut. */
  #comeBack(): void {
    this.#totals.crashes += 1;
    if (this.#random.chance(0.5)) {
      this.#totals.powerCuts += 1;
      this.#disk.cutPower();
    } else this.#disk.restart();
    this.#files = this.#start();
  }

  async #fail(): Promise<void> {
    const fault = {
      call: this.#random.pick(FAILING),
      code: this.#random.pick(CODES),
      after: this.#random.below(4),
    };
    this.#disk.longestWrite = this.#random.chance(0.3) ? 1 + this.#random.below(50) : Infinity;
    this.#disk.faults.push(fault);
    await this.#disturbedPass();
    this.#disk.faults.length = 0;
    this.#disk.longestWrite = Infinity;
    this.#look(this.#planned);
  }

  #planned: string | null = null;

  async #disturbedPass(): Promise<void> {
    const before = this.#model;
    this.#planned = before.content;
    try {
      const plan = await this.#plan();
      if (plan.action.kind === 'Write') this.#planned = latin1(plan.action.content);
      if (plan.action.kind === 'Remove') this.#planned = null;
      if ((await this.#carryOut(plan)) === 'Changed') throw new Error('nobody wrote, but it says so');
      this.#undecided = [];
    } catch (error) {
      if (!(error instanceof HostFileError) && !this.#disk.stopped) throw error;
      this.#undecided.push(before);
      this.#totals.failures += 1;
    }
  }

  /** Somebody edits the file while we are writing the new one. */
  async #race(): Promise<void> {
    let done = false;
    this.#disk.onCall = (call, path) => {
      if (done || call !== 'sync' || !path.endsWith('.tmp')) return;
      done = true;
      this.#edit();
    };
    await this.#reconcile();
    this.#disk.onCall = null;
  }

  /** After a disturbance: the file is as it was or as planned, whole, or as before an earlier write that failed; the model follows. */
  #look(planned: string | null): void {
    const known = [this.#model, ...this.#undecided];
    const content = this.#expectContent(
      [...known.map((model) => model.content), planned],
      'torn, lost or taken back',
    );
    const { foreign } = this.#model;
    this.#model =
      known.find((model) => model.content === content) ?? modelOf(content, content === null ? null : foreign);
  }

  #expectContent(possible: readonly (string | null)[], fault: string): string | null {
    const content = latin1(this.#disk.bytes(PATH));
    if (!possible.includes(content)) throw new Error(`${fault}: ${JSON.stringify({ content, possible })}`);
    return content;
  }

  /** CRIU never refuses because of us, no limit is lowered, and what is asked for holds unless a foreign line is named. */
  #judge(plan: FilePlan): void {
    const judge = (text: string | null): ConfJudgement => judgeCriuConf(Buffer.from(text ?? '', 'latin1'));
    const [foreign, whole] = [judge(this.#model.foreign), judge(this.#model.content)];
    if (foreign.verdict === 'Refused') return;
    const given = foreign.ghostLimitBytes ?? CRIU_DEFAULT_LIMIT_BYTES;
    const effective = whole.ghostLimitBytes ?? CRIU_DEFAULT_LIMIT_BYTES;
    const isExcused = plan.state === 'OverriddenByForeignLine' || plan.state === 'ForeignLineInvalid';
    const checks: readonly (readonly [holds: boolean, fault: string])[] = [
      [whole.verdict === 'Accepted', 'refused because of us'],
      [effective >= given, 'a limit was lowered'],
      [effective === plan.effectiveLimitBytes, 'the plan reports another limit'],
      [isExcused || effective >= (this.#desired.ghostLimitBytes ?? 0n), 'not in sync, and nobody says so'],
      [!isExcused || plan.line !== null, 'no line is named'],
    ];
    const broken = checks.find(([holds]) => !holds);
    if (broken !== undefined) throw new Error(`${broken[1]}: ${JSON.stringify(this.#model.content)}`);
  }

  #checkEnd(): void {
    this.#expectContent([this.#model.foreign], 'after removal something else is left than the users’ text');
    const names = this.#disk.names(DIRECTORY);
    const expected = this.#model.foreign === null ? [] : ['runc.conf'];
    if (names === null && !this.#hadDirectory && this.#model.foreign === null) return;
    if (JSON.stringify(names) !== JSON.stringify(expected))
      throw new Error(`left in the directory: ${String(names)}`);
    if (!this.#hadDirectory && this.#model.foreign === null && this.#origin?.hadDirectory === false)
      throw new Error('a directory of ours is left');
  }
}

/** Runs `count` histories, seeded from `seed` on; rejects with the seed of the first that goes wrong. */
export async function runHistories(options: {
  readonly seed: number;
  readonly count: number;
}): Promise<HistoryTotals> {
  const totals = { histories: 0, writes: 0, edits: 0, crashes: 0, powerCuts: 0, failures: 0, lostRaces: 0 };
  for (let seed = options.seed; seed < options.seed + options.count; seed += 1) {
    try {
      await new History(seed, totals).run();
    } catch (error) {
      throw new Error(
        `history with seed ${seed}: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
    }
    totals.histories += 1;
  }
  return totals;
}
