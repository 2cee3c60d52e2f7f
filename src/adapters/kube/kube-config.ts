// Where the API server is and who we are to it: kubeconfig or the files of a pod, read by the Kubernetes client library. Opens no connection.
import { bufferFromFileOrString, KubeConfig } from '@kubernetes/client-node';
import type { User } from '@kubernetes/client-node';
import { delimiter } from 'node:path';

/**
 * "Default": the files of $KUBECONFIG, ~/.kube/config, or the pod's own account, as kubectl. "Cluster": the pod's own account; `pathPrefix` stands before its paths
 * (a host's root mounted elsewhere). "File": one kubeconfig. "Text": a kubeconfig as YAML or JSON.
 */
export type KubeConfigSource =
  | { readonly from: 'Default'; readonly context?: string }
  | { readonly from: 'Cluster'; readonly pathPrefix?: string }
  | { readonly from: 'File'; readonly path: string; readonly context?: string }
  | { readonly from: 'Text'; readonly text: string; readonly context?: string };

/** Throws (Error of the library) where the files are not there or make no sense, and for an unknown context. */
export function loadKubeConfig<T extends KubeConfig>(config: T, source: KubeConfigSource): T {
  load(config, source);
  if (source.from !== 'Cluster' && source.context !== undefined) config.setCurrentContext(source.context);
  if (config.getCurrentCluster() === null)
    throw new Error(`the kubeconfig has no context named ${JSON.stringify(config.getCurrentContext())}`);
  config.users = config.users.map(readTokenAlways);
  config.addAuthenticator(tokenFileAuthenticator);
  return config;
}

function load(config: KubeConfig, source: KubeConfigSource): void {
  switch (source.from) {
    case 'Default':
      loadDefault(config, process.env['KUBECONFIG'] ?? '');
      return;
    case 'Cluster':
      if ((process.env['KUBERNETES_SERVICE_HOST'] ?? '') === '')
        throw new Error('not in a pod: KUBERNETES_SERVICE_HOST is not set');
      config.loadFromCluster(source.pathPrefix);
      return;
    case 'File':
      config.loadFromFile(source.path);
      return;
    case 'Text':
      config.loadFromString(source.text);
  }
}

function loadDefault(config: KubeConfig, listed: string): void {
  if (listed !== '') {
    loadListed(config, listed);
    return;
  }
  config.loadFromDefault();
  if (isGuess(config))
    throw new Error('there is no kubeconfig: KUBECONFIG is not set, and ~/.kube/config is not there');
}

/**
 * As kubectl (k8s.io/client-go tools/clientcmd/loader.go): the first file to name a cluster, user, context or current context wins, files that are not there
 * are passed over. The library's own merge refuses names that come twice, and lets the last current context win.
 */
function loadListed(config: KubeConfig, listed: string): void {
  const files = listed.split(delimiter).flatMap((path) => (path === '' ? [] : (loadIfThere(path) ?? [])));
  if (files.length === 0)
    throw new Error(`there is no kubeconfig: KUBECONFIG names no file that is there (${listed})`);
  config.loadFromOptions({
    clusters: firstOfEachName(files.flatMap(({ clusters }) => clusters)),
    users: firstOfEachName(files.flatMap(({ users }) => users)),
    contexts: firstOfEachName(files.flatMap(({ contexts }) => contexts)),
    // The library leaves it undefined where the file has none.
    currentContext: files.map((file): string | undefined => file.currentContext).find(Boolean) ?? '',
  });
}

/** null: there is no such file. */
function loadIfThere(path: string): KubeConfig | null {
  const file = new KubeConfig();
  try {
    file.loadFromFile(path);
    return file;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function firstOfEachName<T extends { readonly name: string }>(entries: readonly T[]): T[] {
  return entries.filter(({ name }, index) => entries.findIndex((one) => one.name === name) === index);
}

/** Where it finds nothing the library goes on with a server that nobody named. Source: its loadFromDefault. */
function isGuess(config: KubeConfig): boolean {
  return (
    config.getCurrentContext() === 'loaded-context' &&
    config.getCurrentCluster()?.server === 'http://localhost:8080'
  );
}

// The library keeps the token of a file for a minute. A token that was replaced because it was about to expire, or was revoked, is wrong by then;
// reading a file of one kilobyte in memory costs nothing beside a request.
const TOKEN_FILE = 'ghostlimit-token-file';

interface TokenFileProvider {
  readonly name: typeof TOKEN_FILE;
  readonly path: string;
}

function readTokenAlways(user: User): User {
  const path = tokenFileOf(user.authProvider);
  if (path === null) return user;
  const authProvider: TokenFileProvider = { name: TOKEN_FILE, path };
  return { ...user, authProvider };
}

function tokenFileOf(authProvider: unknown): string | null {
  const config = (authProvider as { readonly config?: { readonly tokenFile?: unknown } } | null | undefined)
    ?.config;
  return typeof config?.tokenFile === 'string' && config.tokenFile !== '' ? config.tokenFile : null;
}

// Options of a request, as far as an authenticator touches them: the library's own type names a package that has no types here.
interface HeaderOptions {
  headers?: Readonly<Record<string, unknown>>;
}

const tokenFileAuthenticator = {
  isAuthProvider: (user: User): boolean =>
    (user.authProvider as TokenFileProvider | undefined)?.name === TOKEN_FILE,
  applyAuthentication: (user: User, options: HeaderOptions): Promise<void> => {
    const { path } = user.authProvider as TokenFileProvider;
    const token = bufferFromFileOrString(path)?.toString('utf8').trim() ?? '';
    if (token === '') return Promise.reject(new Error(`${path} is empty`));
    options.headers = { ...options.headers, Authorization: `Bearer ${token}` };
    return Promise.resolve();
  },
};
