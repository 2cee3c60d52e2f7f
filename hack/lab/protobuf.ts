// Just enough of the protobuf wire format for the CRI: strings, whole numbers, booleans, messages, maps. Pure.

/** Bytes are an embedded message or a `bytes` field; an array is a repeated field, a record a map of strings. */
export type FieldValue =
  | string
  | number
  | boolean
  | Uint8Array
  | readonly (string | Uint8Array)[]
  | Readonly<Record<string, string>>;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

function lengthDelimited(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function printField(number: number, value: FieldValue): Buffer {
  if (typeof value === 'string') return lengthDelimited(number, Buffer.from(value));
  if (typeof value === 'number' || typeof value === 'boolean')
    return Buffer.concat([varint(number * 8), varint(Number(value))]);
  if (value instanceof Uint8Array) return lengthDelimited(number, value);
  if (Array.isArray(value))
    return Buffer.concat(
      (value as readonly (string | Uint8Array)[]).map((element) => printField(number, element)),
    );
  const entries = Object.entries(value as Record<string, string>);
  return Buffer.concat(
    entries.map(([key, text]) => lengthDelimited(number, printMessage({ 1: key, 2: text }))),
  );
}

/** A message from its fields by number. Numbers are whole, not negative and below 2^53. */
export function printMessage(fields: Readonly<Record<number, FieldValue>>): Buffer {
  return Buffer.concat(Object.entries(fields).map(([number, value]) => printField(Number(number), value)));
}

export interface ParsedMessage {
  /** The last value of a string field; empty when absent, as protobuf has it. */
  text: (number: number) => string;
  /** The last value of an integer field; 0 when absent. Exact below 2^53. */
  integer: (number: number) => number;
  /** Every value of a field of messages. */
  messages: (number: number) => ParsedMessage[];
  /** A map of strings. */
  map: (number: number) => Record<string, string>;
}

/** Throws RangeError on a text that is cut short, Error on a wire type that the CRI has not. */
export function parseMessage(bytes: Buffer): ParsedMessage {
  const fields: { number: number; value: Buffer | number }[] = [];
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes.readUInt8(at);
      at += 1;
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  const readValue = (wireType: number): Buffer | number => {
    if (wireType === 0) return readVarint();
    if (wireType !== 2) throw new Error(`protobuf wire type ${wireType} is not in use by the CRI`);
    const length = readVarint();
    at += length;
    if (at > bytes.length) throw new RangeError('a protobuf field is out of range: the message is cut short');
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = readVarint();
    fields.push({ number: Math.floor(tag / 8), value: readValue(tag % 8) });
  }
  const values = (number: number): (Buffer | number)[] =>
    fields.filter((field) => field.number === number).map((field) => field.value);
  const messages = (number: number): ParsedMessage[] =>
    values(number).flatMap((value) => (typeof value === 'number' ? [] : [parseMessage(value)]));
  return {
    text: (number) => values(number).at(-1)?.toString() ?? '',
    integer: (number) => Number(values(number).at(-1) ?? 0),
    messages,
    map: (number) =>
      Object.fromEntries(messages(number).map((entry) => [entry.text(1), entry.text(2)] as const)),
  };
}
