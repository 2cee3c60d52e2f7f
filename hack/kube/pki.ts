// The keys and certificates of a lab cluster, made by openssl in the node where its API server runs. They are worth
// nothing outside.
import type { LabNode } from '../lab/lab-node.ts';

/** Where they are in the node: ca, api (the server), kubelet-client (the API server as the kubelets see it), sa. */
export const PKI_INSIDE = '/etc/kubernetes/pki';

const SCRIPT = String.raw`
mkdir -p "$1" && cd "$1"
key() { openssl ecparam -genkey -name prime256v1 -noout -out "$1.key"; }
sign() {
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  printf '%s\n' "$3" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt"
}
key sa
key ca
openssl req -x509 -new -key ca.key -days 30 -subj /CN=lab-ca -out ca.crt
sign api /CN=kube-apiserver "subjectAltName=$2"
sign kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client ''
`;

/** Makes them (0.2 s); `serverNames` are the API server's, as in `IP:127.0.0.1`. Gives the CA's certificate as PEM. */
export async function makePki(node: LabNode, serverNames: readonly string[]): Promise<string> {
  await node.run(['bash', '-euo', 'pipefail', '-c', SCRIPT, 'pki', PKI_INSIDE, serverNames.join(',')]);
  const ca = await node.readFile(`${PKI_INSIDE}/ca.crt`);
  if (ca === null) throw new Error('openssl left no certificate of the CA');
  return ca.toString();
}
