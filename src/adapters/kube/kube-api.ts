// The Kubernetes API over HTTP: raw JSON in and out, so that no field is lost that a library has not heard of. No retries and no cache.
import { apiVersionOf } from '../../api/kube-object.ts';
import type { KubeObject, KubeResource, ObjectRef, UnnamedKubeObject } from '../../api/kube-object.ts';
import type { Clock } from '../../ports/clock.ts';
import { KubeUnreachable } from '../../ports/kube-api.ts';
import type {
  ApplyOptions,
  DeleteOptions,
  KubeApi,
  KubeList,
  ListOptions,
  PatchOptions,
  WatchEvent,
  WatchOptions,
} from '../../ports/kube-api.ts';
import { apiError, isMissingObject } from './api-error.ts';
import type { WholeAnswer } from './api-error.ts';
import { asKubeObject, isRecord, parseJson } from './json.ts';
import { KubeConnection } from './kube-connection.ts';
import type { KubeConfigSource } from './kube-config.ts';
import { ask, asked, openStream } from './kube-request.ts';
import type { KubeRequest, KubeTransport } from './kube-request.ts';
import { collectionPath, creationPath, objectPath, queryString } from './kube-url.ts';
import { watchEvents } from './watch-stream.ts';

const CALL_TIMEOUT_MS = 30_000;

export interface KubeApiOptions {
  readonly source: KubeConfigSource;
  /** Of this program, e.g. "0.1.0". */
  readonly version: string;
  /** Which of our programs this is, e.g. "agent". */
  readonly component: string;
  readonly clock: Clock;
  /** For a whole call, and for a watch until the server has accepted it; default 30 s. */
  readonly timeoutMs?: number;
}

export interface ConnectedKubeApi extends KubeApi {
  /** Of the kubeconfig's context or of the pod; null: neither says one. */
  readonly namespace: string | null;
  /** Ends all connections; what is under way fails. */
  close(): Promise<void>;
}

/** Throws where there is no usable configuration; connects only when something is asked. All requests share one connection where the server speaks HTTP/2. */
export function createKubeApi(options: KubeApiOptions): ConnectedKubeApi {
  const { source, version, component, clock, timeoutMs = CALL_TIMEOUT_MS } = options;
  return new HttpKubeApi({
    connection: new KubeConnection(source, clock),
    clock,
    timeoutMs,
    userAgent: `ghostlimit/${version} (${component})`,
  });
}

class HttpKubeApi implements ConnectedKubeApi {
  readonly #transport: KubeTransport;

  constructor(transport: KubeTransport) {
    this.#transport = transport;
  }

  get namespace(): string | null {
    return this.#transport.connection.namespace;
  }

  close(): Promise<void> {
    return this.#transport.connection.close();
  }

  async get(resource: KubeResource, ref: ObjectRef, signal?: AbortSignal): Promise<KubeObject | null> {
    const request = { method: 'GET', path: objectPath(resource, ref), signal } as const;
    const answer = await ask(this.#transport, request);
    return isMissingObject(answer) ? null : this.#object(request, answer);
  }

  async list(resource: KubeResource, options: ListOptions): Promise<KubeList> {
    const query = queryString({
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      // A page that continues another has the state of that one.
      resourceVersion: options.continueToken === undefined ? options.resourceVersion : undefined,
      limit: options.limit,
      continue: options.continueToken,
    });
    const path = collectionPath(resource, options.namespace) + query;
    const request = { method: 'GET', path, compressed: true, signal: options.signal } as const;
    const answer = await ask(this.#transport, request);
    return toList(resource, request, this.#success(request, answer));
  }

  async *watch(resource: KubeResource, options: WatchOptions): AsyncGenerator<WatchEvent, void, undefined> {
    const query = queryString({
      watch: true,
      allowWatchBookmarks: true,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      resourceVersion: options.resourceVersion,
      timeoutSeconds: options.timeoutSeconds,
    });
    const { signal } = options;
    const path = collectionPath(resource, options.namespace) + query;
    const request = { method: 'GET', path, signal } as const;
    const stream = await openStream(this.#transport, request);
    if ('refused' in stream) throw apiError(asked(request), stream.refused, this.#transport.clock.now());
    yield* watchEvents(stream.body, signal, asked(request));
  }

  create(
    resource: KubeResource,
    object: KubeObject | UnnamedKubeObject,
    signal?: AbortSignal,
  ): Promise<KubeObject> {
    return this.#write(() => ({
      method: 'POST',
      path: creationPath(resource, object.metadata.namespace),
      body: object,
      signal,
    }));
  }

  apply(resource: KubeResource, object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    const { fieldManager, force, dryRun } = options;
    return this.#write(() => ({
      method: 'PATCH',
      path:
        objectPath(resource, object.metadata, options.subresource) +
        queryString({ fieldManager, force, dryRun: dryRun === true ? 'All' : undefined }),
      body: object,
      // JSON is YAML; the server knows server-side apply by this type.
      contentType: 'application/apply-patch+yaml',
      signal: options.signal,
    }));
  }

  mergePatch(
    resource: KubeResource,
    ref: ObjectRef,
    patch: Readonly<Record<string, unknown>>,
    options: PatchOptions,
  ): Promise<KubeObject> {
    return this.#write(() => ({
      method: 'PATCH',
      path:
        objectPath(resource, ref, options.subresource) + queryString({ fieldManager: options.fieldManager }),
      body: patch,
      contentType: 'application/merge-patch+json',
      signal: options.signal,
    }));
  }

  update(resource: KubeResource, object: KubeObject, signal?: AbortSignal): Promise<KubeObject> {
    return this.#write(() => ({
      method: 'PUT',
      path: objectPath(resource, object.metadata),
      body: object,
      signal,
    }));
  }

  async delete(resource: KubeResource, ref: ObjectRef, options: DeleteOptions = {}): Promise<boolean> {
    const { uid, propagationPolicy, signal } = options;
    const request = {
      method: 'DELETE',
      path: objectPath(resource, ref),
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        ...(uid === undefined ? {} : { preconditions: { uid } }),
        ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
      },
      signal,
    } as const;
    const answer = await ask(this.#transport, request);
    if (isMissingObject(answer)) return false;
    this.#success(request, answer);
    return true;
  }

  // The request is made inside, so that a name that is none rejects like everything else.
  async #write(makeRequest: () => KubeRequest): Promise<KubeObject> {
    const request = makeRequest();
    return this.#object(request, await ask(this.#transport, request));
  }

  #object(request: KubeRequest, answer: WholeAnswer): KubeObject {
    const object = asKubeObject(this.#success(request, answer));
    if (object === null) throw new KubeUnreachable(`${asked(request)}: the answer is no object of the API`);
    return object;
  }

  #success(request: KubeRequest, answer: WholeAnswer): unknown {
    if (answer.status >= 200 && answer.status < 300) return parseJson(answer.text);
    throw apiError(asked(request), answer, this.#transport.clock.now());
  }
}

function toList(resource: KubeResource, request: KubeRequest, answer: unknown): KubeList {
  const metadata = isRecord(answer) ? answer['metadata'] : undefined;
  if (!isRecord(answer) || !isRecord(metadata) || typeof metadata['resourceVersion'] !== 'string')
    throw new KubeUnreachable(`${asked(request)}: the answer is no list`);
  // Go writes an empty list as null in old kinds.
  const items = Array.isArray(answer['items']) ? (answer['items'] as readonly object[]) : [];
  // Items of built-in kinds do not repeat what the list says.
  const type = { apiVersion: apiVersionOf(resource), kind: resource.kind };
  return {
    items: items.map((item) => ({ ...type, ...item }) as KubeObject),
    resourceVersion: metadata['resourceVersion'],
    continueToken:
      typeof metadata['continue'] === 'string' && metadata['continue'] !== '' ? metadata['continue'] : null,
  };
}
