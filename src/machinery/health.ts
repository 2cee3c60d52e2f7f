// Named checks behind /healthz and /readyz: plain functions of what other parts know. Never does work of its own, so that asking is cheap.

/** null: fine; else what is wrong, for a person. */
export type HealthCheck = () => string | null;

export interface HealthVerdict {
  readonly healthy: boolean;
  /** In the order of the checks. */
  readonly checks: readonly { readonly name: string; readonly problem: string | null }[];
}

/** Runs all checks; one that throws counts as failed with its message. No checks: healthy. */
export function checkHealth(checks: Readonly<Record<string, HealthCheck>>): HealthVerdict {
  const results = Object.entries(checks).map(([name, check]) => ({ name, problem: problemOf(check) }));
  return { healthy: results.every(({ problem }) => problem === null), checks: results };
}

/** One line a check, as kube-apiserver's verbose /readyz prints them: "[+]caches ok", "[-]caches failed: policies not synced". */
export function printHealth({ healthy, checks }: HealthVerdict): string {
  const lines = checks.map(({ name, problem }) =>
    problem === null ? `[+]${name} ok` : `[-]${name} failed: ${problem}`,
  );
  return `${[...lines, healthy ? 'check passed' : 'check failed'].join('\n')}\n`;
}

/** Fails until each of the reflectors has held its whole collection once, and names the first that has not, with its error. */
export function syncedCheck(
  reflectors: readonly {
    readonly name: string;
    status(): { readonly synced: boolean; readonly lastError: { readonly message: string } | null };
  }[],
): HealthCheck {
  return () => {
    const missing = reflectors.find((reflector) => !reflector.status().synced);
    if (missing === undefined) return null;
    const { lastError } = missing.status();
    return lastError === null
      ? `${missing.name} not synced`
      : `${missing.name} not synced: ${lastError.message}`;
  };
}

function problemOf(check: HealthCheck): string | null {
  try {
    return check();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
