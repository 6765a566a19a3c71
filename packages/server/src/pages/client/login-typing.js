// @ts-check
// What people type and paste, in the form that the server compares.

/**
 * Returns a one-time code as six digits from 0 to 9, or nothing. Digits may be of any script; blanks and dashes are dropped.
 *
 * @param {string} text
 */
export function readCode(text) {
  const code = plain(text);
  return /^\d{6}$/.test(code) ? code : undefined;
}

/**
 * Returns a phone number in E.164 form, or nothing. A `(0)` after the country code is dropped: it is dialed inside the country alone. Italian
 * numbers keep theirs.
 *
 * @param {string} text
 */
export function readPhone(text) {
  const phone = plain(text)
    .replace(/^(\+(?!39)\d{1,3})\(0\)/, '$1')
    .replace(/[()./]/g, '');
  return /^\+[1-9]\d{6,14}$/.test(phone) ? phone : undefined;
}

/**
 * Drops blanks, dashes and what cannot be seen, such as the direction marks around a number that was copied from contacts.
 *
 * @param {string} text
 */
function plain(text) {
  return text
    .normalize('NFKC')
    .replace(/[\s\p{Cf}\p{Pd}\u2212]/gu, '')
    .replace(/\p{Nd}/gu, digit);
}

/**
 * Returns the value of a digit. Unicode has the digits of each script in a row of ten, from zero.
 *
 * @param {string} character
 */
function digit(character) {
  const point = character.codePointAt(0) ?? 0;
  let before = 0;
  while (/\p{Nd}/u.test(String.fromCodePoint(point - before - 1))) before++;
  return String(before % 10);
}
