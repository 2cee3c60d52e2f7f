// What one term as leader knows for certain of requests. Forgotten with the term: another leader may have written meanwhile, and the caches may be behind it.

export interface RequestTerm {
  /** UIDs of unfinished requests that this leader itself has read or written. */
  readonly sure: Set<string>;
}

export interface RequestTerms {
  /** `signal`: that of the loops, one for each term. */
  of(signal: AbortSignal): RequestTerm;
}

export function createRequestTerms(): RequestTerms {
  const terms = new WeakMap<AbortSignal, RequestTerm>();
  return {
    of: (signal) => {
      const term = terms.get(signal) ?? { sure: new Set<string>() };
      terms.set(signal, term);
      return term;
    },
  };
}
