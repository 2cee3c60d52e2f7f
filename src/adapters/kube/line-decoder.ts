// Cuts a stream of bytes into lines of text. Knows nothing of what they say.

const NEWLINE = 0x0a;

export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

/** Lines end with "\n"; bytes of one character may come in several chunks. */
export class LineDecoder {
  readonly #limitBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  /** `limitBytes`: no line may be longer, and no more than that is kept. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Something came after the last "\n". */
  get isInsideLine(): boolean {
    return this.#pendingBytes > 0;
  }

  /** The lines that `chunk` completes, without their "\n" and without empty ones. Throws LineTooLong. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#keep(chunk.subarray(start, end));
      const line = this.#take();
      if (line !== '') lines.push(line);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(piece: Buffer): void {
    this.#pendingBytes += piece.length;
    if (this.#pendingBytes > this.#limitBytes)
      throw new LineTooLong(`a line is longer than ${this.#limitBytes} bytes`);
    if (piece.length > 0) this.#pending.push(piece);
  }

  // Whole lines only are decoded: "\n" is never a part of a longer UTF-8 character.
  #take(): string {
    const [first] = this.#pending;
    const bytes = this.#pending.length === 1 && first !== undefined ? first : Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    return bytes.toString('utf8');
  }
}
