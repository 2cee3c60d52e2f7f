// Calls of the kubelet's own API over HTTPS: its certificate verified, our token shown, one connection a call. Decides nothing about containers.
import { request, type RequestOptions } from 'node:https';
import { readFile } from 'node:fs/promises';
import { isIP, type Socket } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { Clock } from '../../ports/clock.ts';
import { RuntimeUnavailable } from '../../ports/container-runtime.ts';
import { errorCode } from './error-code.ts';
import { kubeletTrust, type KubeletTrust, type TrustOptions } from './kubelet-trust.ts';

export interface KubeletConnectionOptions extends TrustOptions {
  readonly port: number;
  /** Of this process; read for each call, as the kubelet replaces it before it expires. */
  readonly tokenFile: string;
  readonly clock: Pick<Clock, 'after'>;
}

export interface KubeletAnswer {
  readonly status: number;
  readonly body: string;
}

/** The connection broke, or was given up, after the request was on its way: nobody knows what the kubelet made of it. */
export class KubeletBrokeOff extends Error {
  override readonly name = 'KubeletBrokeOff';
}

/** What answers cannot prove to be the kubelet of this node. Nothing was sent to it. */
export class KubeletNotVerified extends RuntimeUnavailable {}

/** For TCP and TLS together. */
const CONNECT_TIMEOUT_MS = 10_000;
const BODY_LIMIT_BYTES = 1024 * 1024;

/**
 * One POST without a body. `giveUpMs`: when no whole answer has come by then the connection is closed, which ends the call in the kubelet. Rejects with
 * KubeletBrokeOff, and with RuntimeUnavailable when the request was never sent.
 */
export async function postToKubelet(
  path: string,
  giveUpMs: number,
  options: KubeletConnectionOptions,
): Promise<KubeletAnswer> {
  const token = await readToken(options.tokenFile);
  const trusts = await kubeletTrust(options);
  const refusals: string[] = [];
  for (const trust of trusts) {
    try {
      return await post({ path, giveUpMs, token, trust }, options);
    } catch (error) {
      // The certificate may have been made anew, in another way than before.
      if (!(error instanceof KubeletNotVerified)) throw error;
      refusals.push(error.message);
    }
  }
  if (trusts.length === 0) refusals.push('no certificate to verify it by was found');
  throw new KubeletNotVerified(refusals.join('; '));
}

async function readToken(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new RuntimeUnavailable(`no token for the kubelet: ${(error as Error).message}`);
  });
  const token = text.trim();
  if (token === '') throw new RuntimeUnavailable(`no token for the kubelet: ${file} is empty`);
  return token;
}

interface Call {
  readonly path: string;
  readonly giveUpMs: number;
  readonly token: string;
  readonly trust: KubeletTrust;
}

function post(
  { path, giveUpMs, token, trust }: Call,
  { address, port, clock }: KubeletConnectionOptions,
): Promise<KubeletAnswer> {
  return new Promise((resolve, reject) => {
    let isSent = false;
    const asked = request({
      ...tlsOptions(trust),
      host: address,
      port,
      path,
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-length': 0 },
      // A connection of its own, closed after: nothing to keep alive for a call in many minutes.
      agent: false,
    });
    const cancelConnect = clock.after(CONNECT_TIMEOUT_MS, () => {
      asked.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS / 1000} s`));
    });
    const cancelGiveUp = clock.after(giveUpMs, () => {
      asked.destroy(new Error(`no answer within ${giveUpMs / 1000} s`));
    });
    asked.on('socket', (socket: Socket) => {
      socket.once('secureConnect', () => {
        isSent = true;
        cancelConnect();
      });
    });
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= BODY_LIMIT_BYTES) chunks.push(chunk);
      });
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, body });
      });
      response.on('error', (error) => asked.destroy(error));
    });
    asked.on('error', (error) => {
      reject(isSent ? new KubeletBrokeOff(error.message) : unsentError(error, trust, `${address}:${port}`));
    });
    asked.on('close', () => {
      cancelConnect();
      cancelGiveUp();
    });
    asked.end();
  });
}

function tlsOptions({ ca, identities }: KubeletTrust): RequestOptions {
  const servername = identities.find((name) => isIP(name) === 0) ?? '';
  return {
    ca,
    servername,
    // Whatever the environment says.
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    checkServerIdentity: (_, certificate) => identityProblem(identities, certificate),
  };
}

/** undefined: the certificate is for one of them. */
function identityProblem(identities: readonly string[], certificate: PeerCertificate): Error | undefined {
  const problems = identities.map((identity) => checkServerIdentity(identity, certificate));
  return problems.includes(undefined) ? undefined : problems[0];
}

/** Codes of OpenSSL's verification as Node names them, and Node's own. Source: Node doc/api/tls.md, "X509 certificate error codes". */
const NOT_VERIFIED = /CERT|ISSUER|SIGNATURE|SELF_SIGNED|CHAIN|CRL|PURPOSE|^ERR_(?:TLS|SSL)|^EPROTO$/;

function unsentError(error: Error, { from }: KubeletTrust, where: string): RuntimeUnavailable {
  const code = errorCode(error) ?? '';
  const said = `${where}: ${error.message}${code === '' ? '' : ` (${code})`}`;
  if (NOT_VERIFIED.test(code)) return new KubeletNotVerified(`${said}, verified by ${from}`);
  return new RuntimeUnavailable(said, { cause: error });
}
