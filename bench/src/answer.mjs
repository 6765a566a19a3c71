// @ts-check
/**
 * A server that gives one answer to everything: `node answer.mjs <json>`.
 *
 * @module
 */
import { createServer } from 'node:http';

const [, , answer = ''] = process.argv;
const server = createServer((_req, res) => {
  res.setHeader('content-type', 'application/json').end(answer);
});
// Longer than any pause between two rounds.
server.keepAliveTimeout = 120_000;
process.on('disconnect', () => process.exit());
server.listen(0, '127.0.0.1', () => {
  process.send?.(/** @type {import('node:net').AddressInfo} */ (server.address()).port);
});
