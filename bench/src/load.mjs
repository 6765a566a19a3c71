// @ts-check
import autocannon from 'autocannon';

/**
 * Sends `amount` requests, and tells how long that took: from the first to the last answer, since autocannon itself looks at
 * intervals only whether all are there.
 *
 * @param {import('autocannon').Options & { amount: number }} options
 * @returns {Promise<{ perSecond: number, p99: number }>} `p99` in milliseconds.
 */
export async function load(options) {
  /** @type {number[]} */
  const answered = [];
  const running = autocannon({ ...options, sampleInt: 20, timeout: 60 });
  const emitter = /** @type {import('node:events').EventEmitter} */ (/** @type {unknown} */ (running));
  emitter.on('response', () => answered.push(performance.now()));
  const { non2xx, errors, latency } = await running;
  if (non2xx || errors) throw new Error(`${non2xx + errors} requests to ${options.url} were refused`);
  const [first = 0] = answered;
  const seconds = ((answered.at(-1) ?? 0) - first) / 1000;
  return { perSecond: answered.length / seconds, p99: latency.p99 };
}
