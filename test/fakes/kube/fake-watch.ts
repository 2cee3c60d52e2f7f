// One watch of the fake API server: which changes it shows, bookmarks, and the ways in which it ends.
import type { KubeObject, KubeResource } from '../../../src/api/kube-object.ts';
import { apiVersionOf } from '../../../src/api/kube-object.ts';
import type { WatchEvent } from '../../../src/ports/kube-api.ts';
import type { Change } from './object-store.ts';
import { frozen } from './plain-json.ts';

export class FakeWatch {
  readonly resource: KubeResource;
  readonly user: string;
  readonly #selects: (object: KubeObject) => boolean;
  readonly #bufferSize: number;
  #events: WatchEvent[] = [];
  #end: { readonly error: Error | null } | null = null;
  #wake: (() => void) | null = null;

  /** `bufferSize`: with more events waiting the server ends the watch, as for a client that does not read. */
  constructor(of: {
    readonly resource: KubeResource;
    readonly user: string;
    readonly selects: (object: KubeObject) => boolean;
    readonly bufferSize: number;
  }) {
    this.resource = of.resource;
    this.user = of.user;
    this.#selects = of.selects;
    this.#bufferSize = of.bufferSize;
  }

  /** As the real one: what begins to match is ADDED, what no longer does is DELETED and carries its old values. */
  show(change: Change): void {
    const { object, previous } = change;
    const matched = previous !== null && this.#selects(previous);
    if (change.type === 'DELETED') {
      if (matched) this.#push({ type: 'DELETED', object });
      return;
    }
    const matches = this.#selects(object);
    if (matches) this.#push({ type: matched ? 'MODIFIED' : 'ADDED', object });
    else if (matched) this.#push({ type: 'DELETED', object: atRevisionOf(previous, object) });
  }

  /** An object that is there already when the watch begins. */
  showExisting(object: KubeObject): void {
    if (this.#selects(object)) this.#push({ type: 'ADDED', object });
  }

  bookmark(revision: number): void {
    const metadata = { resourceVersion: String(revision), creationTimestamp: null };
    const object = frozen({ kind: this.resource.kind, apiVersion: apiVersionOf(this.resource), metadata });
    this.#push({ type: 'BOOKMARK', object });
  }

  /** The server ends it, after what was sent; `error`: it breaks instead. */
  end(error: Error | null = null): void {
    this.#end ??= { error };
    this.#signal();
  }

  async *events(): AsyncGenerator<WatchEvent, void, undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) yield event;
      else if (this.#end === null) await this.#more();
      else if (this.#end.error === null) return;
      else throw this.#end.error;
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #push(event: WatchEvent): void {
    if (this.#end !== null) return;
    if (this.#events.length >= this.#bufferSize) {
      this.end();
      return;
    }
    this.#events.push(event);
    this.#signal();
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = null;
  }
}

function atRevisionOf(old: KubeObject, now: KubeObject): KubeObject {
  const metadata = { ...old.metadata, resourceVersion: now.metadata.resourceVersion };
  return frozen({ ...old, metadata });
}
