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
 * Runs every contestant once a round. The first rounds do not count: at least one, and as many as take `warmUp` seconds for each
 * contestant, because V8 compiles the code of a server during its first thousands of requests. On a busy machine there are fewer
 * rounds than asked for: what takes too long ends after 20 seconds, but never before the fifth.
 *
 * @template {string} Name
 * @param {Record<Name, () => number | Promise<number>>} contestants
 * @param {number} rounds
 * @param {number} [warmUp] Default is 0, for contestants that are a new process each time.
 * @returns {Promise<Record<Name, Result>>}
 */
export async function interleave(contestants, rounds, warmUp = 0) {
  const entries = /** @type {[Name, () => number | Promise<number>][]} */ (Object.entries(contestants));
  const warm = performance.now() + warmUp * 1000 * entries.length;
  do {
    for (const [, run] of entries) await run();
  } while (performance.now() < warm);
  const values = new Map(entries.map(([name]) => [name, /** @type {number[]} */ ([])]));
  const deadline = performance.now() + 20_000;
  for (let round = 0; round < rounds && (round < 5 || performance.now() < deadline); round += 1) {
    for (const [name, run] of entries) values.get(name)?.push(await run());
    process.stderr.write('.');
  }
  process.stderr.write('\n');
  return summarizeAll(values);
}

/**
 * Results of several runs as one, for instance of several processes of each contestant.
 *
 * @template {string} Name
 * @param {readonly Record<Name, Result>[]} runs
 * @returns {Record<Name, Result>}
 */
export function join(runs) {
  const names = /** @type {Name[]} */ (Object.keys(runs[0] ?? {}));
  return summarizeAll(new Map(names.map((name) => [name, runs.flatMap((run) => run[name].values)])));
}

/**
 * The median of what a contestant measured beside its result, in the rounds that count.
 *
 * @param {Result} result
 * @param {readonly number[]} beside Of all rounds.
 */
export function median({ values }, beside) {
  return quantile(beside.slice(-values.length), 0.5);
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
 * @template {string} Name
 * @param {Map<Name, number[]>} values
 * @returns {Record<Name, Result>}
 */
function summarizeAll(values) {
  const results = [...values].map(([name, list]) => [name, summarize(name, list)]);
  return Object.fromEntries(results);
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
