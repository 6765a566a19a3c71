// @ts-check
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Passage } from '@passage-auth/core';
import { startPassage } from '@passage-auth/testing';
import { interleave, ratio, time } from './interleave.mjs';
import { cell, heading, progress, short, table } from './report.mjs';

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
  const passage = new Passage({ appId, apiKey, baseUrl: origin });
  progress(`${calls} concurrent calls`);
  const results = await interleave(
    {
      fetch: () =>
        time(calls, () => all(async () => (await (await fetch(origin + path, { headers })).json()).user)),
      'passage.user.get': () => time(calls, () => all(() => passage.user.get(user.id))),
    },
    40,
  );
  child.kill();

  heading(`Management client: ${calls} concurrent calls, µs a call`);
  table(
    ['', 'µs', 'share of fetch'],
    Object.values(results).map((result) => [result.name, cell(result), short(ratio(result, results.fetch))]),
  );
}

/** @param {() => Promise<unknown>} call */
function all(call) {
  return Promise.all(Array.from({ length: calls }, call));
}
