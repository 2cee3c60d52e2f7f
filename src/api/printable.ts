// Text from hosts and containers made safe to show: on a terminal, in a status field, in a log line. Never used for paths that are opened.

// Control characters (with C1), line and paragraph separators, bidirectional controls, zero-width and other invisible
// characters, tags, lone surrogates, private use, unassigned, blanks that only look like a space; and the backslash, so
// that escapes cannot be faked.
const UNSAFE = /[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\p{DI}]|(?! )\p{Zs}/gu;

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/**
 * Returns `text` on one line with everything invisible or misleading escaped (`\n`, `\x1b`, `\u{202e}`) and at most
 * `maxLength` UTF-16 units long; a longer text ends in `…`. The result can be told from the original only by its escapes:
 * a backslash is doubled, so that `\n` in a name is not taken for a newline.
 */
export function printable(text: string, maxLength = 4096): string {
  // Cut before escaping: a hostile text of many megabytes must not cost more than its shown part.
  const escaped = text.slice(0, maxLength + 1).replace(UNSAFE, escapeCharacter);
  if (escaped.length <= maxLength) return escaped;
  const cut = escaped.slice(0, Math.max(0, maxLength - 1)).replace(PARTIAL_END, '');
  return `${cut}…`;
}

// A cut must not leave half an escape or half a surrogate pair behind.
const PARTIAL_END = /(?<=(?:^|[^\\])(?:\\\\)*)(?:\\|\\x[0-9a-f]?|\\u(?:\{[0-9a-f]*)?)$|[\uD800-\uDBFF]$/;

function escapeCharacter(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const codePoint = character.codePointAt(0) ?? 0;
  return codePoint <= 0xff
    ? `\\x${codePoint.toString(16).padStart(2, '0')}`
    : `\\u{${codePoint.toString(16)}}`;
}
