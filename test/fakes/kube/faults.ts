// What goes wrong at the fake API server, and when: told call by call, or by a seeded chance. Decides nothing about what a call does.
import type { Random } from '../../histories/random.ts';

export type KubeVerb = 'get' | 'list' | 'watch' | 'create' | 'apply' | 'patch' | 'update' | 'delete';

export interface CallMatch {
  readonly verb?: KubeVerb | readonly KubeVerb[];
  /** Plural. */
  readonly resource?: string | readonly string[];
  readonly user?: string;
  /** "namespace/name" or "name". */
  readonly key?: string;
}

/** "after": what was asked is done, and only the answer is lost or bad. Default "before". */
export type Fault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly retryAfterMs?: number;
      readonly moment?: 'before' | 'after';
    }
  | { readonly kind: 'unreachable'; readonly moment?: 'before' | 'after' }
  /** By the clock of the server. */
  | { readonly kind: 'delay'; readonly ms: number };

export interface MatchableCall {
  readonly verb: KubeVerb;
  readonly resource: string;
  readonly user: string;
  readonly key: string | null;
}

interface Rule {
  readonly match: CallMatch;
  readonly faults: readonly Fault[];
  readonly probability: number;
  left: number;
}

export class FaultSchedule {
  readonly #random: Random;
  #rules: Rule[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next `times` calls that match fail so; several such rules count one after the other. */
  next(match: CallMatch, fault: Fault, times = 1): void {
    this.#rules.push({ match, faults: [fault], probability: 1, left: times });
  }

  /** Each call that matches fails with this probability, by one of the faults, until `clear`. */
  sometimes(match: CallMatch, probability: number, faults: readonly Fault[]): void {
    this.#rules.push({ match, faults, probability, left: Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#rules = [];
  }

  /** The fault of this call; null: none. */
  take(call: MatchableCall): Fault | null {
    for (const rule of this.#rules) {
      if (rule.left <= 0 || !matches(rule.match, call)) continue;
      if (rule.probability < 1 && !this.#random.chance(rule.probability)) continue;
      rule.left -= 1;
      return this.#random.pick(rule.faults);
    }
    return null;
  }
}

function matches(match: CallMatch, call: MatchableCall): boolean {
  return (
    isOneOf(match.verb, call.verb) &&
    isOneOf(match.resource, call.resource) &&
    (match.user ?? call.user) === call.user &&
    (match.key ?? call.key) === call.key
  );
}

function isOneOf(wanted: string | readonly string[] | undefined, value: string): boolean {
  if (wanted === undefined) return true;
  return typeof wanted === 'string' ? wanted === value : wanted.includes(value);
}
