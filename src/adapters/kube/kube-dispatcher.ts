// Makes the one dispatcher that all requests to an API server share: HTTP/2 where the server speaks it, so that watches and calls go over one connection;
// else a pool of kept-alive HTTP/1.1 connections. Sends no requests of its own but the pings of HTTP/2.
import type { DispatcherOptions } from '@kubernetes/client-node';
import type { ConnectionOptions } from 'node:tls';
import { Agent, buildConnector, ProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../ports/clock.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** An idle connection is kept so long; kube-apiserver closes its side after 90 s. */
const KEEP_ALIVE_MS = 60_000;
/** As client-go: a ping after 30 s, given up 15 s later (k8s.io/apimachinery pkg/util/net, ReadIdleTimeout and PingTimeout). */
const PING_MS = 30_000;
const SILENCE_MS = 45_000;

const CLIENT_OPTIONS = {
  allowH2: true,
  connectTimeout: CONNECT_TIMEOUT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  h2Options: { pingInterval: PING_MS },
};

/** `options` are what the Kubernetes client library makes of the kubeconfig; "socks" is left to the library. */
export function createKubeDispatcher(
  options: Exclude<DispatcherOptions, { type: 'socks' }>,
  clock: Clock,
): Dispatcher {
  switch (options.type) {
    case 'proxy':
      return new ProxyAgent({
        ...CLIENT_OPTIONS,
        uri: options.uri,
        requestTls: { ...tlsOptions(options.requestTls), allowH2: true },
        connect: tlsOptions(options.connect),
      });
    case 'agent':
      return directAgent(tlsOptions(options.connect), clock);
    case 'none':
      return directAgent({}, clock);
  }
}

function directAgent(tls: buildConnector.BuildOptions, clock: Clock): Agent {
  const connect = buildConnector({
    keepAliveInitialDelay: PING_MS,
    ...tls,
    allowH2: true,
    preferH2: true,
    timeout: CONNECT_TIMEOUT_MS,
  });
  return new Agent({
    ...CLIENT_OPTIONS,
    connect: (target, callback) => {
      connect(target, (...result) => {
        // With an error there is no second one at all, whatever its type says.
        if (result[0] === null) endSilent(result[1], clock);
        callback(...result);
      });
    },
  });
}

// The same options; the two packages differ in whether an absent one may be written as undefined.
function tlsOptions(options: ConnectionOptions): buildConnector.BuildOptions {
  return options as buildConnector.BuildOptions;
}

interface CountingSocket {
  readonly bytesRead: number;
  readonly destroyed: boolean;
  readonly alpnProtocol?: string | false | null;
  destroy(error: Error): unknown;
}

/**
 * Ends an HTTP/2 connection that has brought nothing for 45 s although it was pinged: a peer that vanished without a word (a node or a NAT gone) would
 * else leave all watches waiting for many minutes. undici 8.12 sends the pings but waits for no answer. HTTP/1.1 has none: there a silent watch is told by its missing bookmarks.
 */
export function endSilent(socket: CountingSocket, clock: Clock): void {
  if (socket.alpnProtocol !== 'h2') return;
  let seenBytes = socket.bytesRead;
  const check = (): void => {
    if (socket.destroyed) return;
    if (socket.bytesRead === seenBytes) {
      socket.destroy(new Error(`nothing came for ${SILENCE_MS / 1000} s, not even the answer to a ping`));
      return;
    }
    seenBytes = socket.bytesRead;
    clock.after(SILENCE_MS, check);
  };
  clock.after(SILENCE_MS, check);
}
