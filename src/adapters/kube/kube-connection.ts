// Holds the way to one API server: its address, our credentials of this moment, and the one dispatcher. Knows nothing of what is asked.
import { HttpMethod, KubeConfig, RequestContext } from '@kubernetes/client-node';
import type { Cluster, DispatcherOptions } from '@kubernetes/client-node';
import type { AgentOptions } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../ports/clock.ts';
import { loadKubeConfig } from './kube-config.ts';
import type { KubeConfigSource } from './kube-config.ts';
import { createKubeDispatcher } from './kube-dispatcher.ts';

export interface KubeAccess {
  readonly dispatcher: Dispatcher;
  /** Those of authentication. */
  readonly headers: Readonly<Record<string, string>>;
}

export class KubeConnection {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Before every path of the API; empty, or "/k8s/clusters/c-1". */
  readonly basePath: string;
  /** Of the current context or of the pod; null: neither says one. */
  readonly namespace: string | null;
  readonly #config: SharingKubeConfig;
  #granting: Promise<KubeAccess> | null = null;

  /** Throws where there is no usable configuration. */
  constructor(source: KubeConfigSource, clock: Clock) {
    this.#config = loadKubeConfig(new SharingKubeConfig(clock), source);
    const server = new URL(this.#config.getCurrentCluster()?.server ?? '');
    this.origin = server.origin;
    this.basePath = server.pathname.replace(/\/+$/, '');
    this.namespace =
      this.#config.getContextObject(this.#config.getCurrentContext())?.namespace?.trim() ?? null;
  }

  /** Credentials as they are now: files are read anew, a login program runs when its last answer has expired. Rejects when there are none. */
  access(): Promise<KubeAccess> {
    // Requests that start together share one answer: a login program must not run once for each.
    this.#granting ??= this.#grant().finally(() => {
      this.#granting = null;
    });
    return this.#granting;
  }

  /** Ends all connections; what is under way fails. */
  async close(): Promise<void> {
    await this.#config.shared?.dispatcher.destroy();
  }

  async #grant(): Promise<KubeAccess> {
    const context = new RequestContext(this.origin, HttpMethod.GET);
    await this.#config.applySecurityAuthentication(context);
    const { shared } = this.#config;
    if (shared === null) throw new Error('no connection could be made from the kubeconfig');
    return { dispatcher: shared.dispatcher, headers: context.getHeaders() };
  }
}

interface SharedDispatcher {
  readonly options: DispatcherOptions;
  readonly dispatcher: Dispatcher;
}

// The library makes a dispatcher, and with it a TLS connection, for each request. Here it is told to make none, and ours lives until
// the options (authority, client certificate, proxy) are others than those that it was made from.
class SharingKubeConfig extends KubeConfig {
  shared: SharedDispatcher | null = null;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  override createDispatcherOptions(cluster: Cluster | null, agentOptions: AgentOptions): DispatcherOptions {
    const options = super.createDispatcherOptions(cluster, agentOptions);
    if (!isDeepStrictEqual(options, this.shared?.options)) this.#replace(options);
    return { type: 'none' };
  }

  #replace(options: DispatcherOptions): void {
    if (options.type === 'socks') throw new Error('a SOCKS proxy is not supported');
    const old = this.shared;
    this.shared = { options, dispatcher: createKubeDispatcher(options, this.#clock) };
    // Watches that run over the old connection end in their own time.
    old?.dispatcher.close().catch(() => undefined);
  }
}
