// @ts-check
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { startPassage } from '@passage-auth/testing';
import { at, interleave, ratio } from './interleave.mjs';
import { cell, goal, heading, progress, short, table } from './report.mjs';
import { baseline } from './service.mjs';

const names = [
  'fetch',
  'fetch of undici, pool',
  'passage.user.get',
  'passage.user.get, undici pool',
  ...(baseline ? ['passage.user.get, before', 'passage.user.get, undici pool, before'] : []),
  'passage-node 2.12.1',
];

/** `user.get` beside native `fetch`, from a process that answers one recorded user as quickly as Node can. */
export async function client() {
  const server = await startPassage();
  const user = await server.createUser();
  const { appId, apiKey = '', baseUrl, fetch: ask } = server.options;
  const headers = { authorization: `Bearer ${apiKey}` };
  const answer = await (await ask(`${baseUrl}/api/v1/apps/${appId}/users/${user.id}`, { headers })).text();
  await server.close();

  const responder = fork(new URL('answer.mjs', import.meta.url), [answer]);
  const [port] = await once(responder, 'message');
  const env = {
    ...process.env,
    ORIGIN: `http://127.0.0.1:${port}`,
    APP_ID: appId,
    API_KEY: apiKey,
    USER_ID: user.id,
  };
  progress('200 concurrent calls');
  const callers = await Promise.all(
    names.map(async (name) => {
      const child = fork(new URL('caller.mjs', import.meta.url), [name], { env });
      await once(child, 'message');
      return { name, child };
    }),
  );
  const results = await interleave(
    Object.fromEntries(callers.map(({ name, child }) => [name, () => measure(child)])),
    50,
    2,
  );
  for (const { child } of [...callers, { child: responder }]) child.kill();

  heading('Management client: 200 concurrent calls, µs a call');
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

/** @param {import('node:child_process').ChildProcess} child */
async function measure(child) {
  child.send('call');
  const [each] = await once(child, 'message');
  return each;
}
