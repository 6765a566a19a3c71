// @ts-check
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Passage } from '@passage-auth/core';
import { startPassage } from '@passage-auth/testing';
import passageNode from '@passageidentity/passage-node';
import { Pool, fetch as undiciFetch } from 'undici';
import { at, interleave, ratio, time } from './interleave.mjs';
import { cell, goal, heading, progress, short, table } from './report.mjs';
import { baseline } from './service.mjs';

const calls = 200;

/** `user.get` beside native `fetch`, from a process that answers one recorded user as quickly as Node can. */
export async function client() {
  const server = await startPassage();
  const user = await server.createUser();
  const { appId, apiKey, baseUrl, fetch: ask } = server.options;
  const path = `/api/v1/apps/${appId}/users/${user.id}`;
  const headers = { authorization: `Bearer ${apiKey}` };
  const answer = await (await ask(baseUrl + path, { headers })).text();
  await server.close();

  const child = fork(new URL('answer.mjs', import.meta.url), [answer]);
  const [port] = await once(child, 'message');
  const origin = `http://127.0.0.1:${port}`;
  const options = { appId, apiKey, baseUrl: origin };
  const pool = new Pool(origin, { connections: 32 });
  /** @type {any} */
  const pooledFetch = (/** @type {string} */ url, /** @type {any} */ init) =>
    undiciFetch(url, { ...init, dispatcher: pool });
  /** @param {{ user: { get(id: string): Promise<unknown> } }} client */
  const getUser = (client) => () => time(calls, () => all(() => client.user.get(user.id)));
  /** @type {{ Passage: typeof Passage } | undefined} */
  const before = baseline && (await import(join(baseline, 'packages/core/dist/index.mjs')));
  const Before = before?.Passage;
  progress(`${calls} concurrent calls`);
  /** @type {Record<string, () => Promise<number>>} */
  const contestants = {
    fetch: () =>
      time(calls, () => all(async () => (await (await fetch(origin + path, { headers })).json()).user)),
    'passage.user.get': getUser(new Passage(options)),
    'passage.user.get, undici pool': getUser(new Passage({ ...options, fetch: pooledFetch })),
    ...(Before && {
      'passage.user.get, before': getUser(new Before(options)),
      'passage.user.get, undici pool, before': getUser(new Before({ ...options, fetch: pooledFetch })),
    }),
    'passage-node 2.12.1': getUser(official(options)),
  };
  const results = await interleave(contestants, 200);
  child.kill();
  await pool.close();

  heading(`Management client: ${calls} concurrent calls, µs a call`);
  table(
    ['', 'µs', 'calls/s as a share of fetch'],
    Object.values(results).map((result) => [
      result.name,
      cell(result),
      short(ratio(at(results, 'fetch'), result)),
    ]),
  );
  goal('share of fetch', ratio(at(results, 'fetch'), at(results, 'passage.user.get')), '≥', 0.85);
  goal(
    'with an undici pool, times as many calls as passage-node',
    ratio(at(results, 'passage-node 2.12.1'), at(results, 'passage.user.get, undici pool')),
    '≥',
    1,
  );
}

/**
 * The last official client that had code in it, sent to another host than the retired one it is bound to.
 *
 * @param {{ appId: string, apiKey: string | undefined, baseUrl: string }} options
 */
function official({ appId, apiKey = '', baseUrl }) {
  const client = /** @type {any} */ (new passageNode({ appID: appId, apiKey }));
  client.user.usersApi.configuration.configuration.basePath = `${baseUrl}/v1`;
  return client;
}

/** @param {() => Promise<unknown>} call */
function all(call) {
  return Promise.all(Array.from({ length: calls }, call));
}
