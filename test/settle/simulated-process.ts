// A process of a simulation that can be killed: from then on nothing that it called answers, and no timer of it runs.
import type { Clock } from '../../src/ports/clock.ts';
import type { Log, LogFields } from '../../src/ports/log.ts';

export interface LoggedLine {
  readonly atMs: number;
  readonly process: string;
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export class SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly #stop = new AbortController();
  #isAlive = true;

  constructor(name: string, time: Clock, lines: LoggedLine[]) {
    this.name = name;
    this.clock = {
      now: () => time.now(),
      monotonicMs: () => time.monotonicMs(),
      after: (delayMs, action) =>
        time.after(delayMs, () => {
          if (this.#isAlive) action();
        }),
    };
    const write =
      (level: string) =>
      (message: string, fields: LogFields = {}): void => {
        if (this.#isAlive) lines.push({ atMs: time.monotonicMs(), process: name, level, message, fields });
      };
    this.log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Aborts when the process is asked to end. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** SIGTERM. */
  terminate(): void {
    this.#stop.abort();
  }

  /** SIGKILL; also what the end of a process is for what it left behind. */
  kill(): void {
    this.#isAlive = false;
  }

  /** The port as this process has it. */
  port<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          if (!this.#isAlive) return new Promise(() => undefined);
          const answer: unknown = Reflect.apply(value, target, args);
          return answer instanceof Promise ? this.#whileAlive(answer) : answer;
        };
      },
    });
  }

  #whileAlive(answer: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => {
          if (this.#isAlive) resolve(value);
        },
        (error: unknown) => {
          if (this.#isAlive) reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }
}
