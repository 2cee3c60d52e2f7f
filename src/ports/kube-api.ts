// The port to the Kubernetes API: the few verbs that we use, on objects that nobody has interpreted yet. No retries, no cache: that is machinery.
import type { KubeObject, KubeResource, ObjectRef, UnnamedKubeObject } from '../api/kube-object.ts';

export interface KubeSelection {
  /** Absent: all namespaces, or a cluster-scoped kind. */
  readonly namespace?: string;
  /** As kubectl's -l: "app=x,tier!=y". */
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListOptions extends KubeSelection {
  /** "0": any state that the server's cache has (cheap). Absent: the newest. */
  readonly resourceVersion?: string;
  /** Objects a page; absent: all in one answer. */
  readonly limit?: number;
  /** Of the page before. */
  readonly continueToken?: string;
  readonly signal?: AbortSignal;
}

export interface KubeList {
  readonly items: readonly KubeObject[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
  /** null: this was the last page. */
  readonly continueToken: string | null;
}

export interface WatchOptions extends KubeSelection {
  readonly resourceVersion: string;
  /** The server ends the watch after so many seconds. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

/** BOOKMARK: only `object.metadata.resourceVersion` means something. An ERROR event of the server is thrown as KubeApiError instead. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: KubeObject;
}

export interface ApplyOptions {
  readonly fieldManager: string;
  /** Takes over fields of other managers; else a conflict is 409. */
  readonly force: boolean;
  readonly subresource?: 'status';
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  readonly uid?: string;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly signal?: AbortSignal;
}

export interface PatchOptions {
  readonly fieldManager: string;
  readonly subresource?: 'status';
  readonly signal?: AbortSignal;
}

/** Every call rejects with KubeApiError, KubeUnreachable, or the reason of an aborted signal. */
export interface KubeApi {
  /** null: there is no such object. */
  get(resource: KubeResource, ref: ObjectRef, signal?: AbortSignal): Promise<KubeObject | null>;
  list(resource: KubeResource, options: ListOptions): Promise<KubeList>;
  /** With bookmarks. Ends when the server ends it; throws KubeApiError (410: list again), KubeUnreachable when the connection breaks. Breaking out of the loop closes it. */
  watch(resource: KubeResource, options: WatchOptions): AsyncIterable<WatchEvent>;
  /** The answer has the name that the server made for an object without one. */
  create(
    resource: KubeResource,
    object: KubeObject | UnnamedKubeObject,
    signal?: AbortSignal,
  ): Promise<KubeObject>;
  /** Server-side apply; creates what is not there. `object` names itself and holds just the fields that we own. */
  apply(resource: KubeResource, object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
  /** JSON merge patch (RFC 7386); with metadata.resourceVersion in it a stale one is 409. */
  mergePatch(
    resource: KubeResource,
    ref: ObjectRef,
    patch: Readonly<Record<string, unknown>>,
    options: PatchOptions,
  ): Promise<KubeObject>;
  /** Replaces the whole object; a stale metadata.resourceVersion is 409. */
  update(resource: KubeResource, object: KubeObject, signal?: AbortSignal): Promise<KubeObject>;
  /** False: it was not there. */
  delete(resource: KubeResource, ref: ObjectRef, options?: DeleteOptions): Promise<boolean>;
}

/** The server answered with something else than success. */
export class KubeApiError extends Error {
  override readonly name = 'KubeApiError';
  /** HTTP status. */
  readonly status: number;
  /** metav1.Status.reason: "NotFound", "Conflict", "Expired" ...; empty where the answer had none. */
  readonly reason: string;
  /** From the header Retry-After or Status.details.retryAfterSeconds; null: not said. */
  readonly retryAfterMs: number | null;
  constructor(
    message: string,
    details: { readonly status: number; readonly reason: string; readonly retryAfterMs: number | null },
  ) {
    super(message);
    this.status = details.status;
    this.reason = details.reason;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** No answer: refused, reset, timed out, name unknown. What was asked may or may not have been done. */
export class KubeUnreachable extends Error {
  override readonly name = 'KubeUnreachable';
}
