// @ts-check
/** @import { Result } from './interleave.mjs' */

/** @param {string} text */
export function heading(text) {
  console.log(`\n### ${text}\n`);
}

/**
 * Prints a table in Markdown, the first column to the left and the others to the right.
 *
 * @param {string[]} columns
 * @param {(string | number)[][]} rows
 */
export function table(columns, rows) {
  const lines = [columns, columns.map((_, index) => (index ? '--:' : '---')), ...rows];
  console.log(`${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`);
}

/**
 * Prints whether a goal is met.
 *
 * @param {string} text
 * @param {number} value
 * @param {'≥' | '≤'} sign
 * @param {number} limit
 */
export function goal(text, value, sign, limit) {
  const met = sign === '≥' ? value >= limit : value <= limit;
  console.log(`- ${met ? 'met' : '**missed**'}: ${text} ${sign} ${limit}: ${short(value)}`);
}

/**
 * A median with its spread.
 *
 * @param {Result} result
 */
export function cell({ median, spread }) {
  if (Number.isNaN(median)) return 'accepted';
  return `${short(median)} ±${spread > 1 ? 'more than 100' : Math.round(spread * 100)} %`;
}

/**
 * Three digits that count.
 *
 * @param {number} value
 */
export function short(value) {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

/** @param {string} text */
export function progress(text) {
  process.stderr.write(`${text} `);
}
