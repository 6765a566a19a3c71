// @ts-check

import { fork } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { startPassage } from '@passage-auth/testing';
import { at, interleave, quantile, ratio } from './interleave.mjs';
import { load } from './load.mjs';
import { cell, goal, heading, progress, short, table } from './report.mjs';
import { jwksUrl } from './verifiers.mjs';

const connections = 32;
/** Requests of a connection in one round. */
const requests = 100;
/** Fresh tokens come back after ten rounds, when every cache has forgotten them. */
const slices = 10;

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
  const count = connections * requests * slices;
  progress(`signing ${count} tokens\n`);
  const fresh = Array.from({ length: count }, (_, index) =>
    server.signToken({ sub: sessions[index % connections]?.userId }),
  );
  for (const [framework, names] of Object.entries(frameworks)) {
    const apps = await Promise.all(names.map((name) => start(name, env)));
    try {
      await compare(
        /** @type {keyof typeof frameworks} */ (framework),
        apps,
        sessions.map(({ token }) => token),
        fresh,
      );
    } finally {
      for (const { child } of apps) child.kill();
    }
  }
  await server.close();
}

/**
 * @param {keyof typeof frameworks} framework
 * @param {App[]} apps
 * @param {string[]} tokens One for each connection.
 * @param {string[]} fresh
 */
async function compare(framework, apps, tokens, fresh) {
  let round = 0;
  /** @param {App[]} of @param {(connection: number) => string[]} tokensOf */
  const contestants = (of, tokensOf) =>
    Object.fromEntries(of.map((app) => [app.name, () => ask(app, tokensOf)]));
  progress(`${framework}, repeated tokens`);
  const repeated = await interleave(
    contestants(apps, (connection) => [tokens[connection] ?? '']),
    30,
  );
  const details = apps.map(({ p99, cpu }) => [p99, cpu].map((values) => quantile(values.splice(0), 0.5)));
  progress(`${framework}, fresh tokens`);
  const verifying = apps.filter(({ name }, index) => index > 0 && !/user|header read/.test(name));
  const anew = await interleave(
    contestants([/** @type {App} */ (apps[0]), ...verifying], (connection) => {
      const slice = (Math.floor(round++ / connections / (verifying.length + 1)) % slices) * requests;
      const begin = connection * requests * slices + slice;
      return fresh.slice(begin, begin + requests);
    }),
    20,
  );

  const [bare, own, user] = apps.map(({ name }) => repeated[name]);
  if (!bare || !own || !user) throw new Error('Not measured');
  heading(`${framework}: requests/s with ${connections} connections`);
  table(
    ['', 'repeated token', 'share', 'p99, ms', 'CPU of the app, µs', 'fresh token', 'share'],
    apps.map(({ name }, index) => {
      const [p99 = 0, cpu = 0] = details[index] ?? [];
      const [one, other] = [repeated[name] ?? bare, anew[name]];
      const first = anew[apps[0]?.name ?? ''] ?? bare;
      return [
        name,
        cell(one),
        short(ratio(one, bare)),
        short(p99),
        short(cpu),
        ...(other ? [cell(other), short(ratio(other, first))] : ['', '']),
      ];
    }),
  );
  goal(`${framework}, repeated tokens, share of the bare framework`, ratio(own, bare), '≥', goals[framework]);
  goal(`${framework}, user from the cache, share of that without a user`, ratio(user, own), '≥', 0.98);
  const peers = verifying.slice(1).map(({ name }) => at(anew, name));
  const shares = peers.map((peer) => ratio(at(anew, verifying[0]?.name ?? ''), peer));
  goal(`${framework}, fresh tokens, times as many as the fastest peer`, Math.min(...shares), '≥', 1);
}

/**
 * @typedef {object} App
 * @property {string} name
 * @property {number} port
 * @property {import('node:child_process').ChildProcess} child
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
  return { name, port, child, p99: [], cpu: [] };
}

/**
 * Requests per second.
 *
 * @param {App} app
 * @param {(connection: number) => string[]} tokensOf
 */
async function ask(app, tokensOf) {
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
