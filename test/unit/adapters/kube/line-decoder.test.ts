import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LineDecoder, LineTooLong } from '../../../../src/adapters/kube/line-decoder.ts';
import { inChunks } from './chunks.ts';

const line = fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replaceAll('\n', '|'));

describe('LineDecoder', () => {
  test('gives the same lines however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), fc.array(fc.nat({ max: 60 })), (lines, sizes) => {
        const decoder = new LineDecoder(1000);
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        const found = inChunks(bytes, sizes).flatMap((chunk) => decoder.push(chunk));
        expect(found).toEqual(lines.filter((text) => text !== ''));
        expect(decoder.isInsideLine).toBe(false);
      }),
    );
  });

  test('a character of four bytes in four chunks', () => {
    const decoder = new LineDecoder(100);
    const found = [...Buffer.from('a👻b\n')].flatMap((byte) => decoder.push(Buffer.from([byte])));
    expect(found).toEqual(['a👻b']);
  });

  test('knows that something is not finished', () => {
    const decoder = new LineDecoder(100);
    expect(decoder.push(Buffer.from('one\ntw'))).toEqual(['one']);
    expect(decoder.isInsideLine).toBe(true);
    expect(decoder.push(Buffer.from('o\n'))).toEqual(['two']);
    expect(decoder.isInsideLine).toBe(false);
  });

  test('bounds a line, in one chunk and in many', () => {
    expect(new LineDecoder(5).push(Buffer.from('12345\n12345\n'))).toEqual(['12345', '12345']);
    expect(() => new LineDecoder(5).push(Buffer.from('1\n123456\n'))).toThrow(LineTooLong);
    const decoder = new LineDecoder(5);
    decoder.push(Buffer.from('123'));
    expect(() => decoder.push(Buffer.from('456'))).toThrow(LineTooLong);
  });
});
