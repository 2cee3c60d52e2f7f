// The requests and the nodes' orders as the loops of requests see them: the caches, and ahead of them what this process wrote. Decides nothing.
import type { KubeObject, KubeResource, ObjectRef } from '../api/kube-object.ts';
import {
  policyKeyOf,
  readRequestFacts,
  stageOf,
  type RequestFacts,
} from '../domain/requests/request-facts.ts';
import { withOwnWrites, type OwnWrites } from '../machinery/own-writes.ts';
import type { Reflector } from '../machinery/reflector.ts';
import type { IndexFunctions } from '../machinery/store.ts';
import { KubeApiError, type KubeApi } from '../ports/kube-api.ts';
import { PROJECTIONS, REPORT_INDEXES, type CachedReport } from './cluster-view.ts';

/** A write that met a newer object is made again so soon, milliseconds. */
export const CONFLICT_MS = 10;

export interface RequestView {
  readonly requests: OwnWrites<RequestFacts>;
  readonly reports: OwnWrites<CachedReport>;
}

const isUnfinished = (facts: RequestFacts): boolean => stageOf(facts) !== 'Finished';
const isAccepted = (facts: RequestFacts): boolean => ['Waiting', 'Running'].includes(stageOf(facts));
const listed = (key: string | null | undefined): string[] => (key === null || key === undefined ? [] : [key]);

export const REQUEST_FACT_INDEXES: IndexFunctions<RequestFacts> = {
  uid: ({ uid }) => [uid],
  /** Those that concern their node: unfinished ones, and those whose archives may have to go. */
  node: (facts) => (isUnfinished(facts) || facts.deleting ? listed(facts.status.nodeName) : []),
  /** Accepted and unfinished, by policy. */
  policy: (facts) => (isAccepted(facts) ? listed(policyKeyOf(facts)) : []),
  /** Accepted and not started, by namespace. */
  queue: (facts) => (stageOf(facts) === 'Waiting' ? [facts.namespace] : []),
  /** Under "": all that are not finished, or have finalizers. */
  open: (facts) => (isUnfinished(facts) || facts.finalizers.length > 0 ? [''] : []),
};

export const ORDER_INDEXES: IndexFunctions<CachedReport> = {
  ...REPORT_INDEXES,
  /** By policy, once for each node that has an order of it. */
  orderedPolicy: ({ spec }) => [
    ...new Set(
      (spec?.orders ?? []).flatMap(({ requestNamespace, policyName }) =>
        policyName === undefined ? [] : [`${requestNamespace}/${policyName}`],
      ),
    ),
  ],
};

export function createRequestView(reflectors: {
  readonly requests: Reflector<KubeObject>;
  readonly reports: Reflector<CachedReport>;
}): RequestView {
  return {
    requests: withOwnWrites(reflectors.requests, {
      project: PROJECTIONS.requests,
      derive: readRequestFacts,
      indexes: REQUEST_FACT_INDEXES,
    }),
    reports: withOwnWrites(reflectors.reports, {
      project: PROJECTIONS.reports,
      derive: (report) => report,
      indexes: ORDER_INDEXES,
    }),
  };
}

/**
 * Makes a write that is bound to the resourceVersion that was read, and takes its answer. False: the object was changed meanwhile, is another one, or
 * gone; what it is now was taken, and the whole is to be decided anew.
 */
export async function writeBound(
  write: () => Promise<KubeObject>,
  object: {
    readonly resource: KubeResource;
    readonly ref: ObjectRef;
    readonly view: Pick<OwnWrites<unknown>, 'take'>;
  },
  { kube, signal }: { readonly kube: KubeApi; readonly signal: AbortSignal },
): Promise<boolean> {
  try {
    object.view.take(await write());
    return true;
  } catch (error) {
    if (!(error instanceof KubeApiError) || (error.status !== 409 && error.status !== 404)) throw error;
    const now = await kube.get(object.resource, object.ref, signal);
    if (now !== null) object.view.take(now);
    return false;
  }
}
