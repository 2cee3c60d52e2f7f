// Reads the HTTP header Retry-After. Decides nothing about when to come back.

/**
 * Milliseconds to wait: whole seconds, or an HTTP date (RFC 9110 10.2.3) seen from `nowMs`, never negative. null: absent, or neither of the two.
 */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | null {
  const text = value?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Date.parse takes nearly anything for a date; an HTTP date begins with the name of a weekday.
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(text)) return null;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}
