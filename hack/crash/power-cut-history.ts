// A history of one CRIU file on a real disk whose power is cut again and again, while the real writer is at work. After each cut the disk is mounted anew and looked at:
// no torn file, no lost foreign byte, nothing taken back that was reported as done, and a state folder from which everything goes on and ends.
import * as fs from 'node:fs';
import * as posix from 'node:path/posix';
import { nodeFileCalls } from '../../src/adapters/host/file-calls.ts';
import { CRIU_OPTION_NAMES } from '../../src/api/criu-option.ts';
import { judgeCriuConf } from '../../src/domain/criu-conf/judge.ts';
import { splitManagedBlock } from '../../src/domain/criu-conf/managed-block.ts';
import { noteOrigin, planFile } from '../../src/domain/criu-conf/plan-file.ts';
import { combineLines, type WantedLines } from '../../src/domain/policy/resolve.ts';
import { BLIND_EDITS, EDITS, modelOf, someText, type FileModel } from '../../test/histories/file-model.ts';
import type { Random } from '../../test/histories/random.ts';
import type { LoopDisk } from '../lab/loop-disk.ts';
import { disturbedCalls, Killed, type Mutation } from './disturbed-calls.ts';
import {
  isCarriedOut,
  startDiskWriter,
  STATE_DIRECTORY,
  type DiskWriter,
  type FakeBoots,
} from './disk-writer.ts';
import type { PowerSwitch } from './power-switch.ts';

export interface PowerCutTotals {
  histories: number;
  cuts: number;
  /** Cuts after which the file was as before the pass, as planned by it, or the pass had already reported. */
  foundOld: number;
  foundNew: number;
  reportedBefore: number;
  kills: number;
  commits: number;
  edits: number;
  removals: number;
}

export interface PoweredDisk {
  readonly disk: LoopDisk;
  readonly power: PowerSwitch;
  readonly boots: FakeBoots;
  readonly mutation: Mutation | null;
}

const PATH = '/etc/criu/runc.conf';
const LIMITS = [null, 1_048_577, 3_145_728, 4_194_304, 5_000_000] as const;
const NO_WISH: WantedLines = { ghostLimitBytes: null, options: [] };
/** A first write of ours takes about 155 calls, a change 130. */
const LAST_CALL = 150;

const latin1 = (content: Uint8Array | null): string | null =>
  content === null ? null : Buffer.from(content).toString('latin1');

/** What may be found after the next cut. */
interface Promises {
  /** How the file was before each pass that did not end: that may come back. */
  readonly earlier: FileModel[];
  /** What desired.json may say. */
  wishes: (WantedLines | null)[];
}

interface Pass {
  readonly planned: string | null;
  /** True: the report said what came of the plan. */
  readonly reported: boolean;
}

export class PowerCutHistory {
  readonly #random: Random;
  readonly #world: PoweredDisk;
  readonly #totals: PowerCutTotals;
  readonly #hadDirectory: boolean;
  #usersHadFile: boolean;
  #model: FileModel;
  #wish: WantedLines = NO_WISH;
  #promises: Promises = { earlier: [], wishes: [null] };
  /** Every content at the start of a pass: what `original-*` may hold. */
  readonly #seen = new Set<string>();
  /** What happened, for the message of a failure. */
  readonly #story: string[] = [];
  /** The file as they left it last, which may be such that CRIU refuses it: our block with CRLF, for one. */
  #theirs: string | null = null;

  constructor(random: Random, world: PoweredDisk, totals: PowerCutTotals) {
    this.#random = random;
    this.#world = world;
    this.#totals = totals;
    this.#hadDirectory = random.chance(0.7);
    const text = this.#hadDirectory && random.chance(0.7) ? someText(random) : null;
    this.#usersHadFile = text !== null;
    this.#model = { content: text, foreign: text, parts: null };
  }

  /** Rejects with what is wrong, and how it came to that. */
  async run(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      const { message, stack } = error as Error;
      throw new Error(`${message}\n${this.#story.join('\n')}\n${stack ?? ''}`, { cause: error });
    }
  }

  async #run(): Promise<void> {
    this.#wipe();
    await this.#world.power.commit();
    const cuts = 2 + this.#random.below(8);
    for (let cut = 0; cut < cuts; cut += 1) await this.#step();
    await this.#remove();
    this.#totals.histories += 1;
  }

  /** One cut, and what goes before it. */
  async #step(): Promise<void> {
    const random = this.#random;
    if (random.chance(0.4)) await this.#edit();
    if (random.chance(0.7)) this.#wish = this.#nextWish();
    if (random.chance(0.2)) await this.#killedPass();
    const pass = await this.#cutPass();
    await this.#world.disk.remount();
    this.#world.boots.reboot();
    this.#totals.cuts += 1;
    await this.#look(pass);
    if (random.chance(0.5)) await this.#undisturbedPass();
    if (random.chance(0.15)) await this.#remove();
  }

  #at(path: string): string {
    return posix.join(this.#world.disk.mountPoint, path);
  }

  #wipe(): void {
    for (const name of ['etc', 'var']) fs.rmSync(this.#at(name), { recursive: true, force: true });
    fs.mkdirSync(this.#at(this.#hadDirectory ? '/etc/criu' : '/etc'), { recursive: true });
    this.#store();
  }

  #nextWish(): WantedLines {
    const options = CRIU_OPTION_NAMES.filter(() => this.#random.chance(0.15));
    // As policies give them: options that exclude each other are not asked for.
    return combineLines({ ghostLimitBytes: this.#random.pick(LIMITS), options }, null);
  }

  /** Somebody edits the file, and it is on the disk when they are done: what they do not put there is theirs to lose. */
  async #edit(): Promise<void> {
    const known = this.#model.parts !== null || this.#model.content === this.#model.foreign;
    this.#model = this.#random.pick(known ? EDITS : BLIND_EDITS)(this.#model, this.#random);
    this.#usersHadFile ||= this.#model.content !== null;
    this.#store();
    this.#story.push(`edited: ${JSON.stringify(this.#model.content)}`);
    await this.#world.power.commit();
    this.#promises.earlier.length = 0;
    this.#totals.edits += 1;
    this.#theirs = this.#model.content;
  }

  #store(): void {
    const path = this.#at(PATH);
    const { content } = this.#model;
    if (content === null) {
      fs.rmSync(path, { force: true });
      return;
    }
    fs.mkdirSync(posix.dirname(path), { recursive: true });
    const byRename = this.#random.chance(0.5);
    fs.writeFileSync(byRename ? `${path}.new` : path, Buffer.from(content, 'latin1'));
    if (byRename) fs.renameSync(`${path}.new`, path);
  }

  #content(): string | null {
    return fs.existsSync(this.#at(PATH)) ? fs.readFileSync(this.#at(PATH), 'latin1') : null;
  }

  /** The journal goes to the disk now, without the data of our files (fsync of another) or with it. */
  async #commit(): Promise<void> {
    this.#totals.commits += 1;
    if (this.#random.chance(0.5)) return this.#world.power.commit();
    const fd = fs.openSync(this.#at('/other'), 'w');
    fs.writeSync(fd, 'x');
    fs.fsyncSync(fd);
    fs.closeSync(fd);
  }

  async #undisturbedPass(): Promise<void> {
    const writer = this.#start(() => Promise.resolve());
    this.#settle(await this.#pass(writer));
  }

  /** SIGKILL between two calls; the next process goes on. */
  async #killedPass(): Promise<void> {
    const last = this.#random.below(LAST_CALL);
    const when = this.#random.pick(['before', 'after'] as const);
    const writer = this.#start(async (index, now) => {
      if (index === last && now === when) throw new Killed();
      if (this.#random.chance(0.05)) await this.#commit();
    });
    const before = this.#model;
    const pass = await this.#pass(writer);
    if (pass.reported) {
      this.#settle(pass);
      return;
    }
    this.#totals.kills += 1;
    this.#promises.earlier.push(before);
    this.#story.push(`killed ${when} call ${last}`);
    this.#recognize([before.content, pass.planned], 'after a kill the file is neither old nor new');
  }

  /** At a call, or some time after it began while it is still at work; or when the pass has reported. */
  async #cutPass(): Promise<Pass> {
    const random = this.#random;
    const cutAt = random.below(LAST_CALL);
    const when = random.pick(['before', 'after'] as const);
    const delayUs = random.chance(0.3) ? 1 + random.below(400) : 0;
    const cuts: Promise<void>[] = [];
    const cut = (afterUs: number): Promise<void> => {
      this.#powered = false;
      cuts.push(this.#world.power.cut(afterUs));
      return Promise.all(cuts).then(() => undefined);
    };
    const writer = this.#start(async (index, now) => {
      if (!this.#powered) return;
      if (index < cutAt || now !== when) {
        if (random.chance(0.15)) await this.#commit();
      } else if (delayUs === 0) await cut(0);
      else void cut(delayUs);
    });
    const pass = await this.#pass(writer);
    this.#story.push(`cut ${when} call ${cutAt} + ${delayUs} us${this.#powered ? ', not reached' : ''}`);
    if (this.#powered) await cut(0);
    await Promise.all(cuts);
    return pass;
  }

  /** False from the moment when the cut was ordered: what the writer then says nobody would hear. XFS says of a cut disk that the fsync of a directory went well. */
  #powered = true;

  #start(at: (index: number, when: 'before' | 'after') => Promise<void>): DiskWriter {
    const { disk, boots, mutation } = this.#world;
    this.#powered = true;
    return startDiskWriter(disk.mountPoint, boots, disturbedCalls({ at, mutation }));
  }

  /** One pass of a new process, that may be cut short. */
  async #pass(writer: DiskWriter): Promise<Pass> {
    const planned = await this.#plan();
    if (this.#model.content !== null) this.#seen.add(this.#model.content);
    this.#promises.wishes.push(this.#wish);
    try {
      await writer.want(this.#wish);
      if (this.#powered) this.#promises.wishes = [this.#wish];
      const report = await writer.enforce();
      this.#story.push(`${JSON.stringify(this.#wish)} reported: ${report.state} ${report.message ?? ''}`);
      return { planned, reported: this.#powered && isCarriedOut(report) };
    } catch (error) {
      if (!(error instanceof Killed) && (error as NodeJS.ErrnoException).code === undefined) throw error;
      this.#story.push(`${JSON.stringify(this.#wish)} failed: ${(error as Error).message}`);
      return { planned, reported: false };
    } finally {
      await writer.end();
    }
  }

  /** What the pass is going to make of the file. */
  async #plan(): Promise<string | null> {
    const { documents } = startDiskWriter(this.#world.disk.mountPoint, this.#world.boots, nodeFileCalls);
    const { content: text } = this.#model;
    const content = text === null ? null : Buffer.from(text, 'latin1');
    const directoryPresent = fs.existsSync(this.#at('/etc/criu'));
    const { ghostLimitBytes, options } = this.#wish;
    const { action } = planFile({
      path: PATH,
      content,
      directoryPresent,
      desired: { ghostLimitBytes: ghostLimitBytes === null ? null : BigInt(ghostLimitBytes), options },
      judge: judgeCriuConf,
      origin: noteOrigin(await documents.origin(PATH).read(), content, directoryPresent),
    });
    if (action.kind === 'Leave') return text;
    return action.kind === 'Write' ? latin1(action.content) : null;
  }

  #settle({ planned, reported }: Pass): void {
    if (!reported) throw new Error('an undisturbed pass did not end well');
    this.#promises.earlier.length = 0;
    this.#recognize([planned], 'reported as done, and is not');
  }

  async #look({ planned, reported }: Pass): Promise<void> {
    const before = this.#model;
    if (reported) {
      this.#totals.reportedBefore += 1;
      this.#recognize([planned], 'reported as done, and the cut took it back');
    } else {
      const possible = [before.content, planned, ...this.#promises.earlier.map(({ content }) => content)];
      this.#recognize(possible, 'torn or lost by the cut');
      this.#totals[this.#model.content === before.content ? 'foundOld' : 'foundNew'] += 1;
    }
    this.#promises.earlier.length = 0;
    this.#judge();
    await this.#checkState();
  }

  /** The file is one of `possible`, and the model follows: the same foreign text with or without a block. */
  #recognize(possible: readonly (string | null)[], fault: string): void {
    const content = this.#content();
    if (!possible.includes(content)) throw new Error(`${fault}: ${JSON.stringify({ content, possible })}`);
    const known = [this.#model, ...this.#promises.earlier].find((model) => model.content === content);
    const { foreign } = this.#model;
    this.#model = known ?? modelOf(content, content === null ? null : foreign);
  }

  /** CRIU refuses the file only if it refuses the users' text, or they spoilt our block and we have not been there since. */
  #judge(): void {
    if (this.#model.content === this.#theirs) return;
    const verdict = (text: string | null): string => judgeCriuConf(Buffer.from(text ?? '', 'latin1')).verdict;
    if (verdict(this.#model.foreign) === 'Refused' || verdict(this.#model.content) === 'Accepted') return;
    throw new Error(`refused because of us: ${JSON.stringify(this.#model.content)}`);
  }

  /** The notes are whole, and there are those that the file needs. */
  async #checkState(): Promise<void> {
    const { documents } = startDiskWriter(this.#world.disk.mountPoint, this.#world.boots, nodeFileCalls);
    const desired = await documents.desired.read();
    const wish = desired && { ghostLimitBytes: desired.ghostLimitBytes, options: desired.options };
    const wishes = this.#promises.wishes.map((possible) => JSON.stringify(possible));
    if (!wishes.includes(JSON.stringify(wish)))
      throw new Error(`desired.json says ${JSON.stringify(wish)}, not ${wishes.join(' or ')}`);
    this.#promises.wishes = [wish];
    const bytes = Buffer.from(this.#content() ?? '', 'latin1');
    const origin = await documents.origin(PATH).read();
    if (splitManagedBlock(bytes).block !== null && origin === null && this.#lacksNote())
      throw new Error('our block is in the file, and no note says what was there before');
    const original = posix.join(this.#at(STATE_DIRECTORY), 'original-etc.criu.runc.conf');
    if (!fs.existsSync(original)) return;
    const kept = fs.readFileSync(original, 'latin1');
    if (!this.#seen.has(kept)) throw new Error(`the kept original was never there: ${JSON.stringify(kept)}`);
  }

  /** A block that only an edit brought (an old copy) is not ours to have a note of. */
  #lacksNote(): boolean {
    return this.#model.parts !== null;
  }

  /** Nothing is wanted any more: the file is exactly the users', and nothing of ours is left. */
  async #remove(): Promise<void> {
    this.#wish = NO_WISH;
    await this.#undisturbedPass();
    this.#totals.removals += 1;
    const content = this.#content();
    const { foreign } = this.#model;
    const directory = this.#at('/etc/criu');
    const isDirectory = fs.existsSync(directory);
    const names = isDirectory ? fs.readdirSync(directory) : [];
    const notes = fs.readdirSync(this.#at(STATE_DIRECTORY)).filter((name) => name.startsWith('origin-'));
    const checks: readonly (readonly [holds: boolean, fault: string])[] = [
      [content === foreign || (content === null && foreign === ''), 'something else than their text is left'],
      [this.#usersHadFile || content === null, 'a file that only we made is left'],
      [this.#usersHadFile || isDirectory === this.#hadDirectory, 'the directory is not as before us'],
      [names.every((name) => name === 'runc.conf'), 'temporary files are left'],
      [notes.length === 0, 'notes are left'],
    ];
    const broken = checks.find(([holds]) => !holds);
    if (broken !== undefined)
      throw new Error(`after removal: ${broken[1]}: ${JSON.stringify({ content, foreign, names, notes })}`);
  }
}
