// @ts-check
/**
 * Measures contestants in turn, A B C A B C …, so that whatever else the machine does meets all of them alike.
 *
 * @module
 */

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {() => number | Promise<number>} run Measures once, and returns the measure.
 */

/**
 * @typedef {object} Result
 * @property {string} name
 * @property {number} median
 * @property {number} spread Half the distance between the quartiles, as a share of the median.
 * @property {number[]} values In the order of the rounds.
 */

/**
 * Runs every contestant once a round, after one round that does not count. On a busy machine there are fewer rounds than asked
 * for: what takes too long ends after 20 seconds, but never before the fifth.
 *
 * @template {string} Name
 * @param {Record<Name, () => number | Promise<number>>} contestants
 * @param {number} rounds
 * @returns {Promise<Record<Name, Result>>}
 */
export async function interleave(contestants, rounds) {
  const entries = /** @type {[Name, () => number | Promise<number>][]} */ (Object.entries(contestants));
  const values = new Map(entries.map(([name]) => [name, /** @type {number[]} */ ([])]));
  const deadline = performance.now() + 20_000;
  for (let round = 0; round <= rounds && (round <= 5 || performance.now() < deadline); round += 1) {
    for (const [name, run] of entries) {
      const value = await run();
      if (round > 0) values.get(name)?.push(value);
    }
    process.stderr.write('.');
  }
  process.stderr.write('\n');
  const results = entries.map(([name]) => [name, summarize(name, values.get(name) ?? [])]);
  return Object.fromEntries(results);
}

/**
 * The median of the ratios of the rounds: what slows down a whole round does not change it.
 *
 * @param {Result} one
 * @param {Result} other
 */
export function ratio(one, other) {
  return quantile(
    one.values.map((value, round) => value / /** @type {number} */ (other.values[round])),
    0.5,
  );
}

/**
 * Microseconds that one of `count` operations takes.
 *
 * @param {number} count
 * @param {() => unknown} work
 */
export async function time(count, work) {
  const start = performance.now();
  await work();
  return ((performance.now() - start) * 1000) / count;
}

/**
 * @param {string} name
 * @param {number[]} values
 * @returns {Result}
 */
function summarize(name, values) {
  const median = quantile(values, 0.5);
  const spread = (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / median;
  return { name, median, spread, values };
}

/**
 * @param {readonly number[]} values
 * @param {number} share
 */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position % 1);
}

/**
 * @template In, Out
 * @param {Record<string, In>} record
 * @param {(value: In) => Out} map
 * @returns {Record<string, Out>}
 */
export function mapValues(record, map) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/**
 * @template T
 * @param {Record<string, T>} record
 * @param {string} name
 */
export function at(record, name) {
  const value = record[name];
  if (value === undefined) throw new Error(`No ${name}`);
  return value;
}
