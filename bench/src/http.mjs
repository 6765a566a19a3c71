// @ts-check

import { fork } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { startPassage } from '@passage-auth/testing';
import { at, interleave, join, median, quantile, ratio } from './interleave.mjs';
import { load } from './load.mjs';
import { cell, goal, heading, progress, short, table } from './report.mjs';
import { jwksUrl } from './verifiers.mjs';

/** @import { Result } from './interleave.mjs' */

const connections = 32;
/** Seconds. */
const roundLength = 0.25;
/** Most fresh tokens of a connection in one round. They come back after ten rounds, when every cache has forgotten them. */
const sliceSize = 100;
const slices = 10;
/** Processes of each app, one after the other: two of the same app can differ by a tenth. */
const processes = 3;
const rounds = 9;
/** Seconds. */
const warmUp = 2;

/** The apps of a framework; the first is the bare one that the others are compared with. */
const frameworks = {
  Express: [
    'express',
    'express passage',
    'express passage user',
    'express, header read',
    'express-oauth2-jwt-bearer',
    '@clerk/express',
  ],
  Fastify: ['fastify', 'fastify passage', 'fastify passage user', 'fastify, header read', '@fastify/jwt'],
  Nest: ['nest', 'nest passage', 'nest passage user', '@nestjs/passport'],
};
/** Least share of the bare framework, with repeated tokens. */
const goals = { Express: 0.95, Fastify: 0.9, Nest: 0.92 };

export async function http() {
  const server = await startPassage({ port: 0 });
  const issuer = String(server.options.issuer);
  const env = {
    ...process.env,
    NODE_ENV: 'production',
    ...server.env,
    ISSUER: issuer,
    KEY: await readKey(issuer),
  };
  /** @type {import('@passage-auth/testing').Session[]} */
  const sessions = [];
  for (let index = 0; index < connections; index += 1) {
    sessions.push(await server.signIn(await server.createUser()));
  }
  const count = connections * sliceSize * slices;
  progress(`signing ${count} tokens\n`);
  const fresh = Array.from({ length: count }, (_, index) =>
    server.signToken({ sub: sessions[index % connections]?.userId }),
  );
  const tokens = sessions.map(({ token }) => token);
  for (const framework of /** @type {(keyof typeof frameworks)[]} */ (Object.keys(frameworks))) {
    await compare(framework, env, tokens, fresh);
  }
  await server.close();
}

/**
 * @param {keyof typeof frameworks} framework
 * @param {NodeJS.ProcessEnv} env Of the apps.
 * @param {string[]} tokens One for each connection.
 * @param {string[]} fresh
 */
async function compare(framework, env, tokens, fresh) {
  const names = frameworks[framework];
  /** @type {Awaited<ReturnType<typeof measure>>[]} */
  const runs = [];
  for (let set = 0; set < processes; set += 1) {
    const apps = await Promise.all(names.map((name) => start(name, env)));
    try {
      runs.push(await measure(framework, apps, tokens, fresh));
    } finally {
      for (const { child } of apps) child.kill();
    }
  }
  const repeated = join(runs.map((run) => run.repeated));
  const anew = join(runs.map((run) => run.anew));
  const [bareName = '', ownName = '', userName = ''] = names;
  const bare = at(repeated, bareName);
  heading(`${framework}: requests/s with ${connections} connections`);
  table(
    ['', 'repeated token', 'share', 'p99, ms', 'CPU of the app, µs', 'fresh token', 'share'],
    names.map((name) => {
      const [one, other] = [at(repeated, name), anew[name]];
      const beside = runs.map((run) => at(run.beside, name));
      return [
        name,
        cell(one),
        short(ratio(one, bare)),
        ...medians(beside).map(short),
        ...(other ? [cell(other), short(ratio(other, at(anew, bareName)))] : ['', '']),
      ];
    }),
  );
  const [own, user] = [at(repeated, ownName), at(repeated, userName)];
  goal(`${framework}, repeated tokens, share of the bare framework`, ratio(own, bare), '≥', goals[framework]);
  goal(`${framework}, user from the cache, share of that without a user`, ratio(user, own), '≥', 0.98);
  const [verifying, ...peers] = Object.values(anew).slice(1);
  const shares = peers.map((peer) => ratio(/** @type {Result} */ (verifying), peer));
  goal(`${framework}, fresh tokens, times as many as the fastest peer`, Math.min(...shares), '≥', 1);
}

/**
 * Measures one process of each app.
 *
 * @param {string} framework
 * @param {App[]} apps
 * @param {string[]} tokens
 * @param {string[]} fresh
 */
async function measure(framework, apps, tokens, fresh) {
  /** @param {App[]} of @param {(app: App) => Promise<number>} run */
  const contestants = (of, run) => Object.fromEntries(of.map((app) => [app.name, () => run(app)]));
  progress(`${framework}, repeated tokens`);
  const repeated = await interleave(
    contestants(apps, (app) => ask(app, app.requests, (connection) => [tokens[connection] ?? ''])),
    rounds,
    warmUp,
  );
  const beside = Object.fromEntries(
    apps.map(({ name, p99, cpu }) => [name, [p99, cpu].map((values) => median(at(repeated, name), values))]),
  );

  const verifying = apps.filter(({ name }, index) => index === 0 || !/user|header read/.test(name));
  let turn = 0;
  progress(`${framework}, fresh tokens`);
  const anew = await interleave(
    contestants(verifying, (app) => {
      const slice = (Math.floor(turn++ / verifying.length) % slices) * sliceSize;
      return ask(app, Math.min(app.requests, sliceSize), (connection) => {
        const begin = connection * sliceSize * slices + slice;
        return fresh.slice(begin, begin + sliceSize);
      });
    }),
    rounds,
    warmUp / 2,
  );
  return { repeated, anew, beside };
}

/** @param {number[][]} lists Of equal lengths. */
function medians(lists) {
  return (lists[0] ?? []).map((_, index) =>
    quantile(
      lists.map((list) => list[index] ?? Number.NaN),
      0.5,
    ),
  );
}

/**
 * @typedef {object} App
 * @property {string} name
 * @property {number} port
 * @property {import('node:child_process').ChildProcess} child
 * @property {number} requests What each connection sends in a round, so that all rounds take about as long.
 * @property {number[]} p99 Milliseconds, of each round.
 * @property {number[]} cpu Microseconds for a request, of each round.
 */

/**
 * @param {string} name
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<App>}
 */
async function start(name, env) {
  const child = fork(new URL('app.mjs', import.meta.url), [name], { env });
  const [port] = await once(child, 'message');
  return { name, port, child, requests: 100, p99: [], cpu: [] };
}

/**
 * Requests per second.
 *
 * @param {App} app
 * @param {number} requests What each connection sends.
 * @param {(connection: number) => string[]} tokensOf
 */
async function ask(app, requests, tokensOf) {
  let connection = 0;
  const amount = connections * requests;
  const before = await cpuOf(app);
  const { perSecond, p99 } = await load({
    url: `http://127.0.0.1:${app.port}`,
    connections,
    amount,
    setupClient(client) {
      client.setRequests(
        tokensOf(connection++).map((token) => ({
          method: 'GET',
          headers: { authorization: `Bearer ${token}` },
        })),
      );
    },
  });
  app.p99.push(p99);
  app.cpu.push(((await cpuOf(app)) - before) / amount);
  app.requests = Math.ceil((perSecond * roundLength) / connections);
  return perSecond;
}

/** @param {App} app */
async function cpuOf({ child }) {
  child.send('cpu');
  const [{ user, system }] = await once(child, 'message');
  return user + system;
}

/** @param {string} issuer */
async function readKey(issuer) {
  const jwks = await (await fetch(jwksUrl(issuer))).json();
  return createPublicKey({ key: jwks.keys[0], format: 'jwk' })
    .export({ type: 'spki', format: 'pem' })
    .toString();
}
