// @ts-check
/**
 * One of the clients that are compared, in a process of its own, as an app has only one: `node caller.mjs <name>`. Each message makes
 * it call 2,000 times, of which 200 are in flight. It answers with the microseconds that a call took.
 *
 * @module
 */
import { join } from 'node:path';
import { Passage } from '@passage-auth/core';
import passageNode from '@passageidentity/passage-node';
import { Pool, fetch as undiciFetch } from 'undici';
import { time } from './interleave.mjs';
import { baseline } from './service.mjs';

const { ORIGIN: origin = '', APP_ID: appId = '', API_KEY: apiKey = '', USER_ID: userId = '' } = process.env;
const options = { appId, apiKey, baseUrl: origin };
const url = `${origin}/api/v1/apps/${appId}/users/${userId}`;
const headers = { authorization: `Bearer ${apiKey}` };

/** @typedef {{ user: { get(id: string): Promise<unknown> } }} Client */

/** @type {Record<string, () => Promise<() => Promise<unknown>>>} */
const callers = {
  fetch: async () => async () => (await (await fetch(url, { headers })).json()).user,
  'fetch of undici, pool': async () => {
    const pooled = pooledFetch();
    return async () => (await (await pooled(url, { headers })).json()).user;
  },
  'passage.user.get': async () => callsOf(new Passage(options)),
  'passage.user.get, undici pool': async () => callsOf(new Passage({ ...options, fetch: pooledFetch() })),
  'passage.user.get, before': async () => callsOf(new (await before())(options)),
  'passage.user.get, undici pool, before': async () =>
    callsOf(new (await before())({ ...options, fetch: pooledFetch() })),
  'passage-node 2.12.1': async () => callsOf(official()),
};

/** @param {Client} client */
function callsOf(client) {
  return () => client.user.get(userId);
}

/** @returns {any} */
function pooledFetch() {
  const dispatcher = new Pool(origin, { connections: 32 });
  return (/** @type {string} */ url, /** @type {any} */ init) => undiciFetch(url, { ...init, dispatcher });
}

/** @returns {Promise<typeof Passage>} */
async function before() {
  const core = await import(join(baseline ?? '', 'packages/core/dist/index.mjs'));
  return core.Passage;
}

/**
 * The last official client that had code in it, sent to another host than the retired one it is bound to.
 *
 * @returns {Client}
 */
function official() {
  const client = /** @type {any} */ (new passageNode({ appID: appId, apiKey }));
  client.user.usersApi.configuration.configuration.basePath = `${origin}/v1`;
  return client;
}

const prepare = callers[process.argv[2] ?? ''];
if (!prepare) throw new TypeError(`The client must be one of: ${Object.keys(callers).join(', ')}`);
const call = await prepare();
const [calls, turns] = [200, 10];
process.on('message', async () => {
  const each = await time(calls * turns, async () => {
    for (let turn = 0; turn < turns; turn += 1) await Promise.all(Array.from({ length: calls }, call));
  });
  process.send?.(each);
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
