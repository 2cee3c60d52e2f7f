// Bytes as C sees them: strings in which each character is one byte (0..255), C strings that end at NUL, and printable escapes. Knows nothing of CRIU.

/** One character per byte, no decoding: what fits a byte-wise grammar. */
export function toByteString(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The C string at `offset`: the characters before the first NUL. */
export function cString(text: string, offset = 0): string {
  const end = text.indexOf('\0', offset);
  return end === -1 ? text.slice(offset) : text.slice(offset, end);
}

/** isspace(3) in the C locale, for plain and for negative `char`: bytes from 0x80 up are never blank. */
export function isSpace(character: string): boolean {
  return character === ' ' || (character >= '\t' && character <= '\r');
}

/** The first index at or after `offset` whose character is not blank. */
export function skipSpace(text: string, offset: number): number {
  let at = offset;
  while (at < text.length && isSpace(text.charAt(at))) at += 1;
  return at;
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  '\t': '\\t',
  '\r': '\\r',
  '\n': '\\n',
  '\\': '\\\\',
};

/** Longest text shown in a message; the rest becomes an ellipsis. */
const SHOWN_CHARACTERS = 80;

/** Text for a message: printable ASCII as it is, every other byte as an escape, cut after 80 bytes. */
export function escapeBytes(text: string): string {
  const shown = text
    .slice(0, SHOWN_CHARACTERS)
    .replace(
      /[^ -[\]-~]/g,
      (character) =>
        NAMED_ESCAPES[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
    );
  return text.length > SHOWN_CHARACTERS ? `${shown}…` : shown;
}
