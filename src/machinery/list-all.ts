// One LIST of a resource, all its pages put together. No retries.
import type { KubeObject, KubeResource } from '../api/kube-object.ts';
import type { KubeApi, KubeSelection, ListOptions } from '../ports/kube-api.ts';

export interface ListRequest {
  readonly resource: KubeResource;
  readonly selection: KubeSelection;
  /** "0": any state that the server has at hand; another: not older than this; null: the newest. */
  readonly resourceVersion: string | null;
  /** Objects a page; null: all in one answer. Then the newest state is asked for, as a server's cache ignores the limit with resourceVersion=0. */
  readonly pageSize: number | null;
}

export interface WholeList {
  readonly items: readonly KubeObject[];
  /** A watch from here misses nothing. */
  readonly resourceVersion: string;
}

/** Rejects as KubeApi.list does; 410 also when a page token has expired on the way. */
export async function listAll(api: KubeApi, request: ListRequest, signal: AbortSignal): Promise<WholeList> {
  let page = await api.list(request.resource, firstPage(request, signal));
  // The first page's: where the server mixes states, a watch from the oldest of them brings what the later ones had already.
  const { resourceVersion } = page;
  const items = [...page.items];
  while (page.continueToken !== null) {
    page = await api.list(request.resource, {
      ...request.selection,
      ...(request.pageSize === null ? {} : { limit: request.pageSize }),
      continueToken: page.continueToken,
      signal,
    });
    for (const item of page.items) items.push(item);
  }
  return { items, resourceVersion };
}

function firstPage({ selection, resourceVersion, pageSize }: ListRequest, signal: AbortSignal): ListOptions {
  if (pageSize !== null) return { ...selection, limit: pageSize, signal };
  return resourceVersion === null ? { ...selection, signal } : { ...selection, resourceVersion, signal };
}
