import { describe, expect, it } from 'vitest';
import { readCode, readPhone } from './client/login-typing.js';

describe('readCode', () => {
  it.each([
    ['123456'],
    [' 123 456 '],
    ['123-456'],
    ['123–456'],
    ['123\u00a0456'],
    ['\u200e123456\u200f'],
    ['１２３４５６'],
    ['١٢٣٤٥٦'],
    ['۱۲۳۴۵۶'],
    ['१२३४५६'],
    ['১২৩৪৫৬'],
    ['𝟏𝟐𝟑𝟜𝟝𝟞'],
    ['12٣४5６'],
  ])('reads %s', (text) => {
    expect(readCode(text)).toBe('123456');
  });

  it('reads every digit that there is', () => {
    const digits = Array.from({ length: 0x20000 }, (_, point) => String.fromCodePoint(point)).filter(
      (character) => /\p{Nd}/u.test(character),
    );
    expect(digits.length).toBeGreaterThan(600);
    const values = digits.map((character) => readCode(character.repeat(6))?.[0]);
    expect(values).toEqual(digits.map((_, index) => String(index % 10)));
  });

  it.each([[''], ['12345'], ['1234567'], ['12345x'], ['½23456'], ['123456\u0301'], ['一二三四五六']])(
    'refuses %j',
    (text) => {
      expect(readCode(text)).toBeUndefined();
    },
  );
});

describe('readPhone', () => {
  it.each([
    ['+44 (0)20 7946 0018', '+442079460018'],
    ['+44 (0) 20-7946-0018', '+442079460018'],
    ['+49(0)30/901820', '+4930901820'],
    ['+353 (0)1 234 5678', '+35312345678'],
    ['+1 (500) 555-0006', '+15005550006'],
    ['+39 (0)6 6988 1234', '+390669881234'],
    ['\u202a+44 20 7946 0018\u202c', '+442079460018'],
    ['＋４４ ２０ ７９４６ ００１８', '+442079460018'],
    ['+٤٤ ٢٠ ٧٩٤٦ ٠٠١٨', '+442079460018'],
    ['+225 07 12 34 56 78', '+2250712345678'],
  ])('reads %s', (text, phone) => {
    expect(readPhone(text)).toBe(phone);
  });

  it.each([['020 7946 0018'], ['0044 20 7946 0018'], ['+0 20 7946 0018'], ['+44 20 CALL ME'], ['+44'], ['']])(
    'refuses %j',
    (text) => {
      expect(readPhone(text)).toBeUndefined();
    },
  );
});
