// Durations as kubectl's users write them: whole seconds, or Go's form. Knows no flag and no bounds.

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;

/** Milliseconds of "90" (seconds), "90s", "2m", "1h30m" or "1.5s"; null: it is none. Source of the form: Go's time.ParseDuration, without ns and us. */
export function parseDuration(text: string): number | null {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  if (text.length > 32 || !WHOLE.test(text)) return null;
  const parts = [...text.matchAll(PART)];
  const totalMs = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0), 0);
  return Math.round(totalMs);
}
