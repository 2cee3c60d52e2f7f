// PolicyFolder in memory: YAML text by file name, or an error for the whole folder.
import { parseAllDocuments } from 'yaml';
import type { PolicyFile, PolicyFolder } from '../../src/ports/policy-folder.ts';

export class FakePolicyFolder implements PolicyFolder {
  /** Set: the folder cannot be read. */
  fault: Error | null = null;
  readonly #files = new Map<string, PolicyFile['content']>();
  readonly #watchers = new Set<() => void>();

  /** `content`: YAML text, or objects that stand for parsed documents. */
  put(name: string, content: string | readonly unknown[]): void {
    this.#files.set(name, typeof content === 'string' ? parse(content) : { documents: content });
    this.#changed();
  }

  remove(name: string): void {
    this.#files.delete(name);
    this.#changed();
  }

  read(): Promise<readonly PolicyFile[]> {
    if (this.fault !== null) return Promise.reject(this.fault);
    const files = [...this.#files].map(([name, content]) => ({ name, content }));
    return Promise.resolve(files.toSorted((one, other) => (one.name < other.name ? -1 : 1)));
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    this.#watchers.add(onChange);
    signal.addEventListener('abort', () => this.#watchers.delete(onChange));
  }

  #changed(): void {
    for (const onChange of this.#watchers) onChange();
  }
}

function parse(text: string): PolicyFile['content'] {
  const documents = parseAllDocuments(text);
  const [error] = documents.flatMap(({ errors }) => errors);
  if (error !== undefined) return { problem: `is not valid YAML: ${error.message.split('\n')[0] ?? ''}` };
  return { documents: documents.map((document) => document.toJS() as unknown) };
}
