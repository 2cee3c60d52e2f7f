// Calls of the Kubernetes Container Runtime Interface over a unix socket. Loads gRPC only when somebody answers, so that hosts without the CRI do not pay for it. Decides nothing about containers.
import type { Client, Metadata, ServiceError, StatusObject } from '@grpc/grpc-js';
import type { MethodDefinition, ServiceDefinition } from '@grpc/proto-loader';
import type { z } from 'zod';
import { RuntimeUnavailable } from '../../ports/container-runtime.ts';
import { CriVersion } from './cri-answers.ts';
import { requireCri } from './cri-presence.ts';
import { CRI_PROTO } from './cri-proto.ts';
import type { StreamEvents } from './watch-stream.ts';

const SERVICE = 'runtime.v1.RuntimeService';
const ANSWER_TIMEOUT_MS = 30_000;
const ANSWER_LIMIT_BYTES = 64 * 1024 * 1024;
/** gRPC's codes that are told apart here. */
export const GRPC: Readonly<
  Record<'unknown' | 'deadlineExceeded' | 'notFound' | 'unimplemented' | 'unavailable', number>
> = {
  unknown: 2,
  deadlineExceeded: 4,
  notFound: 5,
  unimplemented: 12,
  unavailable: 14,
};

/** An answer of the runtime that says no. */
export class CriRefusal extends Error {
  override readonly name = 'CriRefusal';
  /** As gRPC counts. */
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

interface Channel {
  readonly client: Client;
  readonly methods: ServiceDefinition;
  readonly noMetadata: () => Metadata;
}

export class CriConnection {
  readonly #socketPath: string;
  #channel: Promise<Channel> | null = null;

  /** Of this process, e.g. /run/containerd/containerd.sock. */
  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /**
   * One call, one answer, checked. `timeoutMs` null: as long as it takes. Rejects with CriRefusal for what the runtime refuses, with RuntimeUnavailable
   * when it gives no answer that can be used.
   */
  async call<T>(
    method: string,
    request: object,
    schema: z.ZodType<T>,
    timeoutMs: number | null = ANSWER_TIMEOUT_MS,
  ): Promise<T> {
    const { client, methods, noMetadata } = await this.#open();
    const { path, requestSerialize, responseDeserialize } = methodOf(methods, method);
    const answer = await new Promise<unknown>((resolve, reject) => {
      const options = timeoutMs === null ? {} : { deadline: Date.now() + timeoutMs };
      const done = (error: ServiceError | null, value?: object): void => {
        if (error === null) resolve(value);
        else reject(toError(method, error.code, error.details));
      };
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        noMetadata(),
        options,
        done,
      );
    });
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new RuntimeUnavailable(
      `${method}: unexpected answer at ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    );
  }

  /** The stream of container events, until `signal` aborts or the runtime ends it. Rejects with CriRefusal when it has none. */
  async followEvents(on: StreamEvents, signal: AbortSignal): Promise<void> {
    const method = 'GetContainerEvents';
    const { client, methods } = await this.#open();
    const { path, requestSerialize, responseDeserialize } = methodOf(methods, method);
    // A runtime with nothing to tell sends not even headers: that it is there has to be asked apart.
    await this.call('Version', {}, CriVersion);
    const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
    const cancel = (): void => {
      stream.cancel();
    };
    signal.addEventListener('abort', cancel, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        on.open();
        stream.on('data', on.data);
        stream.on('error', () => undefined);
        stream.on('status', ({ code, details }: StatusObject) => {
          const refusal = toError(method, code, details);
          if (refusal instanceof CriRefusal && refusal.code === GRPC.unimplemented) reject(refusal);
          else resolve();
        });
      });
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  #open(): Promise<Channel> {
    this.#channel ??= openChannel(this.#socketPath).catch((error: unknown) => {
      this.#channel = null;
      throw error;
    });
    return this.#channel;
  }
}

async function openChannel(socketPath: string): Promise<Channel> {
  await requireCri(socketPath, `/${SERVICE}/Version`);
  // The default of each is the whole package: of CommonJS it is all that a bundle keeps.
  const [{ default: grpc }, { default: loader }] = await Promise.all([
    import('@grpc/grpc-js'),
    import('@grpc/proto-loader'),
  ]);
  const definition = loader.fromJSON(CRI_PROTO, { enums: String, longs: Number, defaults: true });
  const methods = definition[SERVICE];
  if (methods === undefined || 'format' in methods) throw new Error(`${SERVICE} is not in the description`);
  const client = new grpc.Client(`unix:${socketPath}`, grpc.credentials.createInsecure(), {
    'grpc.enable_http_proxy': 0,
    'grpc.max_receive_message_length': ANSWER_LIMIT_BYTES,
    // A runtime that comes back must not be taken for gone for two minutes, gRPC's own patience.
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.service_config_disable_resolution': 1,
  });
  return { client, methods, noMetadata: () => new grpc.Metadata() };
}

function methodOf(methods: ServiceDefinition, name: string): MethodDefinition<object, object> {
  const method = methods[name];
  if (method === undefined) throw new Error(`no such call of the CRI: ${name}`);
  return method;
}

function toError(method: string, code: number, details: string): Error {
  const unanswered = code === GRPC.unavailable || code === GRPC.deadlineExceeded;
  // Docker's containerd has the CRI plugin switched off.
  const noService = code === GRPC.unimplemented && details.startsWith('unknown service');
  if (unanswered || noService) return new RuntimeUnavailable(`${method}: ${details}`);
  return new CriRefusal(code, details);
}
