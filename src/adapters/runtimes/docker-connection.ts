// Docker Engine's REST API: version negotiation, JSON answers checked, errors told apart. Decides nothing about containers.
import type { z } from 'zod';
import { RuntimeUnavailable } from '../../ports/container-runtime.ts';
import { InfoAnswer, VersionAnswer } from './docker-answers.ts';
import { parseAnswer } from './engine-answer.ts';
import { askEngine, followEngine } from './engine-socket.ts';
import type { EngineAnswer, EngineRequest } from './engine-socket.ts';

/** The newest API whose answers are known here. */
const KNOWN_API = '1.51';
const ANSWER_TIMEOUT_MS = 30_000;

export interface DockerEngine {
  readonly version: z.infer<typeof VersionAnswer>;
  readonly info: z.infer<typeof InfoAnswer>;
  /** Both ends speak it, e.g. "1.51". */
  readonly apiVersion: string;
}

export class DockerConnection {
  readonly #socketPath: string;
  #engine: Promise<DockerEngine> | null = null;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** What the engine is; asked once, and again after it was away (it may be another one then). */
  engine(): Promise<DockerEngine> {
    this.#engine ??= this.#greet().catch((error: unknown) => {
      this.#engine = null;
      throw error;
    });
    return this.#engine;
  }

  /** Forgets what is known about the engine. */
  forget(): void {
    this.#engine = null;
  }

  /** An answer of any status. Rejects with RuntimeUnavailable when the engine gives none. */
  async ask(
    asked: Omit<EngineRequest, 'timeoutMs'>,
    timeoutMs: number | null = ANSWER_TIMEOUT_MS,
  ): Promise<EngineAnswer> {
    const { apiVersion } = await this.engine();
    try {
      return await askEngine(this.#socketPath, { ...asked, path: `/v${apiVersion}${asked.path}`, timeoutMs });
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  /** The answer to a GET, checked; null for 404. Rejects with RuntimeUnavailable for anything else. */
  async get<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
    const answer = await this.ask({ method: 'GET', path });
    return answer.status === 404 ? null : parseAnswer(answer, schema, path);
  }

  /** See followEngine. */
  async follow(
    path: string,
    signal: AbortSignal,
    on: { readonly open: () => void; readonly data: () => void },
  ): Promise<void> {
    const { apiVersion } = await this.engine();
    await followEngine(this.#socketPath, `/v${apiVersion}${path}`, signal, on);
    this.forget();
  }

  async #greet(): Promise<DockerEngine> {
    const version = parseAnswer(await this.#askBare('/version'), VersionAnswer, '/version');
    const apiVersion = negotiate(version.ApiVersion, version.MinAPIVersion);
    const info = parseAnswer(await this.#askBare(`/v${apiVersion}/info`), InfoAnswer, '/info');
    return { version, info, apiVersion };
  }

  #askBare(path: string): Promise<EngineAnswer> {
    return askEngine(this.#socketPath, { method: 'GET', path, timeoutMs: ANSWER_TIMEOUT_MS });
  }
}

/** Our API unless the engine is older, or so new that it no longer speaks it. */
function negotiate(newest: string, oldest: string | undefined): string {
  if (!/^\d+\.\d+$/.test(newest)) throw new RuntimeUnavailable(`unknown API version ${newest.slice(0, 32)}`);
  if (isOlder(newest, KNOWN_API)) return newest;
  return oldest !== undefined && /^\d+\.\d+$/.test(oldest) && isOlder(KNOWN_API, oldest) ? oldest : KNOWN_API;
}

function isOlder(a: string, b: string): boolean {
  const [aMajor = 0, aMinor = 0] = a.split('.').map(Number);
  const [bMajor = 0, bMinor = 0] = b.split('.').map(Number);
  return aMajor < bMajor || (aMajor === bMajor && aMinor < bMinor);
}
