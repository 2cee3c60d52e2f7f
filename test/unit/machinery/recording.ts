// Log and metrics that remember what they were told, for the tests of the machinery.
import type { Log, LogFields } from '../../../src/ports/log.ts';
import type { MachineryMetrics } from '../../../src/ports/machinery-metrics.ts';

export class RecordingLog implements Log {
  readonly lines: { level: string; message: string; fields: LogFields }[] = [];

  debug(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'debug', message, fields });
  }

  info(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'info', message, fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'warn', message, fields });
  }

  error(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'error', message, fields });
  }

  messages(level: string): string[] {
    return this.lines.filter((line) => line.level === level).map(({ message }) => message);
  }
}

export class RecordingMetrics implements MachineryMetrics {
  /** "metric of-what value ..." in order. */
  readonly calls: string[] = [];

  queueDepth(queue: string, keys: number): void {
    this.calls.push(`depth ${queue} ${keys}`);
  }

  queueAdded(queue: string): void {
    this.calls.push(`added ${queue}`);
  }

  queueWaited(queue: string, seconds: number): void {
    this.calls.push(`waited ${queue} ${seconds}`);
  }

  queueWorked(queue: string, seconds: number): void {
    this.calls.push(`worked ${queue} ${seconds}`);
  }

  queueRetried(queue: string): void {
    this.calls.push(`retried ${queue}`);
  }

  reconciled(controller: string, result: string, seconds: number): void {
    this.calls.push(`reconciled ${controller} ${result} ${seconds}`);
  }

  listed(source: string, result: string): void {
    this.calls.push(`listed ${source} ${result}`);
  }

  watched(source: string, end: string): void {
    this.calls.push(`watched ${source} ${end}`);
  }

  objectsHeld(source: string, objects: number): void {
    this.calls.push(`objects ${source} ${objects}`);
  }

  leading(election: string, leading: boolean): void {
    this.calls.push(`leading ${election} ${leading}`);
  }

  of(metric: string): string[] {
    return this.calls.filter((call) => call.startsWith(`${metric} `));
  }
}

/** A generator of numbers from 0 to 1 that gives the same row for the same seed (mulberry32, public domain). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
