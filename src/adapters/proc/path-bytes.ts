// Turns path bytes of the kernel into strings and back without loss. Knows no file system.

const ESCAPE_BASE = 0xdc00;

/**
 * Decodes UTF-8; each byte that is no part of valid UTF-8 becomes the lone surrogate U+DC00 + byte (as PEP 383 does),
 * so that different names stay different. `encodePath` gives the bytes back.
 */
export function decodePath(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  // Only then is a second look needed: U+FFFD stands for a broken byte, or the name has that character itself.
  if (!text.includes('\ufffd') || Buffer.from(text, 'utf8').equals(bytes)) return text;
  let decoded = '';
  for (let at = 0; at < bytes.length;) {
    const length = validLength(bytes, at);
    decoded +=
      length === 0
        ? String.fromCharCode(ESCAPE_BASE + (bytes[at] ?? 0))
        : bytes.toString('utf8', at, at + length);
    at += Math.max(1, length);
  }
  return decoded;
}

/** The bytes that `decodePath` made `path` from. */
export function encodePath(path: string): Buffer {
  if (path.isWellFormed()) return Buffer.from(path, 'utf8');
  const pieces: Buffer[] = [];
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0;
    const isEscape = code >= ESCAPE_BASE + 0x80 && code <= ESCAPE_BASE + 0xff;
    pieces.push(isEscape ? Buffer.from([code - ESCAPE_BASE]) : Buffer.from(character, 'utf8'));
  }
  return Buffer.concat(pieces);
}

/** Length of the valid UTF-8 sequence that starts at `at`, 0 when there is none. */
function validLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const piece = bytes.subarray(at, at + length);
  const text = piece.toString('utf8');
  return piece.length === length && isOneCharacter(text) && text !== '\ufffd' ? length : isReplacement(piece);
}

function isOneCharacter(text: string): boolean {
  return text.length === ((text.codePointAt(0) ?? 0) > 0xffff ? 2 : 1);
}

/** 3 when the bytes are U+FFFD itself, else 0. */
function isReplacement(piece: Buffer): number {
  return piece.length === 3 && piece.equals(Buffer.from('\ufffd', 'utf8')) ? 3 : 0;
}
