// Speaks the CRI (runtime.v1.RuntimeService) over a Unix socket with Node's own http2, as a kubelet would. It shares
// no code with the product's client: each proves the other.
import { connect as connectHttp2, constants } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { parseMessage, printMessage } from './protobuf.ts';
import type { ParsedMessage } from './protobuf.ts';

/** A call that the runtime answered with a gRPC status other than 0. */
export class CriError extends Error {
  override readonly name = 'CriError';
  /** The gRPC code: 2 Unknown, 5 NotFound, 12 Unimplemented. */
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface CriPod {
  name: string;
  namespace: string;
  uid: string;
  /** Besides the kubelet's own. */
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export interface CriContainer {
  name: string;
  image: string;
  command: readonly string[];
  annotations?: Record<string, string>;
}

export interface CriContainerStatus {
  id: string;
  name: string;
  /** 0 created, 1 running, 2 exited. */
  state: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** info.info of the verbose answer: `pid`, `runtimeSpec` and more, as containerd has them. */
  info: Record<string, unknown>;
}

export interface CriClient {
  version: () => Promise<{ name: string; version: string }>;
  /** A sandbox on the node's own network, pid namespace of its own. Gives its id. */
  runPod: (pod: CriPod) => Promise<string>;
  /** Creates and starts a container of a pod, with a kubelet's labels. Gives its id. */
  startContainer: (podId: string, pod: CriPod, container: CriContainer) => Promise<string>;
  containerStatus: (id: string) => Promise<CriContainerStatus>;
  /** CheckpointContainer: the archive is `location` in the node. */
  checkpoint: (id: string, location: string) => Promise<void>;
  /** Stops and removes a pod with its containers. */
  removePod: (podId: string) => Promise<void>;
  close: () => void;
}

const SERVICE = '/runtime.v1.RuntimeService';
const CALL_TIMEOUT_MS = 180_000;
/** NamespaceMode of the CRI. */
const CONTAINER_NAMESPACE = 1;
const NODE_NAMESPACE = 2;

/** `path` is the socket as this machine sees it. Connects with the first call. */
export function connectCri(path: string): CriClient {
  const session = connectHttp2('http://cri', { createConnection: () => connect(path) });
  // Each call reports it; without a listener it would end the process.
  session.on('error', () => undefined);
  const call = (method: string, fields: Parameters<typeof printMessage>[0]): Promise<ParsedMessage> =>
    unaryCall(session, `${SERVICE}/${method}`, printMessage(fields));
  return {
    version: async () => {
      const answer = await call('Version', {});
      return { name: answer.text(2), version: answer.text(3) };
    },
    runPod: async (pod) => (await call('RunPodSandbox', { 1: sandboxConfig(pod) })).text(1),
    startContainer: async (podId, pod, container) => {
      const config = containerConfig(pod, container);
      const id = (await call('CreateContainer', { 1: podId, 2: config, 3: sandboxConfig(pod) })).text(1);
      await call('StartContainer', { 1: id });
      return id;
    },
    containerStatus: async (id) => containerStatus(await call('ContainerStatus', { 1: id, 2: true }), id),
    checkpoint: async (id, location) => {
      await call('CheckpointContainer', { 1: id, 2: location });
    },
    removePod: async (podId) => {
      await call('StopPodSandbox', { 1: podId });
      await call('RemovePodSandbox', { 1: podId });
    },
    close: () => {
      session.destroy();
    },
  };
}

/** The kubelet's labels of a pod's sandbox and containers. */
const podLabels = ({ name, namespace, uid }: CriPod): Record<string, string> => ({
  'io.kubernetes.pod.name': name,
  'io.kubernetes.pod.namespace': namespace,
  'io.kubernetes.pod.uid': uid,
});

const namespaceOptions = (): Buffer => printMessage({ 1: NODE_NAMESPACE, 2: CONTAINER_NAMESPACE });

const sandboxConfig = (pod: CriPod): Buffer =>
  printMessage({
    1: printMessage({ 1: pod.name, 2: pod.uid, 3: pod.namespace }),
    3: `/var/log/pods/${pod.namespace}_${pod.name}_${pod.uid}`,
    6: { ...pod.labels, ...podLabels(pod) },
    7: pod.annotations ?? {},
    8: printMessage({ 2: printMessage({ 1: namespaceOptions() }) }),
  });

const containerConfig = (pod: CriPod, { name, image, command, annotations = {} }: CriContainer): Buffer =>
  printMessage({
    1: printMessage({ 1: name }),
    2: printMessage({ 1: image }),
    3: command,
    9: { ...podLabels(pod), 'io.kubernetes.container.name': name },
    10: annotations,
    11: `${name}.log`,
    15: printMessage({ 2: printMessage({ 3: namespaceOptions() }) }),
  });

function containerStatus(answer: ParsedMessage, id: string): CriContainerStatus {
  const [status] = answer.messages(1);
  if (!status) throw new Error(`ContainerStatus of ${id} has no status`);
  return {
    id: status.text(1),
    name: status.messages(2)[0]?.text(1) ?? '',
    state: status.integer(3),
    labels: status.map(12),
    annotations: status.map(13),
    info: JSON.parse(answer.map(2)['info'] ?? '{}') as Record<string, unknown>,
  };
}

/** One gRPC call: a message behind a 5-byte head each way, the status in the trailers. */
function unaryCall(session: ClientHttp2Session, path: string, message: Buffer): Promise<ParsedMessage> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    });
    const chunks: Buffer[] = [];
    let headers: IncomingHttpHeaders = {};
    const take = (more: IncomingHttpHeaders): void => {
      headers = { ...headers, ...more };
    };
    stream.setTimeout(CALL_TIMEOUT_MS, () => {
      stream.destroy(new Error(`${path} was not answered within ${CALL_TIMEOUT_MS / 1000} s`));
    });
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      const status = headers['grpc-status'];
      if (typeof status !== 'string') reject(new Error(`${path} ended without a gRPC status`));
      else if (status !== '0') reject(new CriError(Number(status), grpcMessage(headers)));
      else resolve(parseMessage(Buffer.concat(chunks).subarray(5)));
    });
    stream.end(Buffer.concat([Buffer.from([0]), lengthBytes(message.length), message]));
  });
}

function lengthBytes(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

/** The message is percent-encoded in its header. */
const grpcMessage = (headers: IncomingHttpHeaders): string => {
  const text = headers['grpc-message'];
  return typeof text === 'string' ? decodeURIComponent(text) : '';
};
