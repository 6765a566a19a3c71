// @ts-check
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualAuthenticator } from '@passage-auth/testing';
import { Agent, request } from 'undici';
import { at, interleave, mapValues, median, quantile, ratio } from './interleave.mjs';
import { load } from './load.mjs';
import { withSchema } from './postgres.mjs';
import { canLimit, limitCpu } from './quota.mjs';
import { cell, goal, heading, progress, short, table } from './report.mjs';
import { apiKey, appId, baseline, cpuOf, origin, startService } from './service.mjs';
import { seedPostgres, seedSqlite, total } from './users.mjs';

/** @import { Result } from './interleave.mjs' */
/** @import { Service } from './service.mjs' */

const headers = { authorization: `Bearer ${apiKey}` };

/** Lists of a million users, as queries of the Management API. */
const lists = {
  'the newest 15': '',
  'by email address': 'identifier=user500000@example.com',
  'by id': `id=u0007919${'A'.repeat(16)}`,
  'inactive ones (1 %), page of 15': 'status=inactive',
  'created within an hour': 'created_at=gt:2024-06-01T00:00:00Z&created_at=lt:2024-06-01T01:00:00Z',
  'by last login, page of 15': 'order_by=last_login_at:DESC',
  'page 100 of 500': 'page=100&limit=500',
  'addresses that contain a text (no index can help)': 'identifier=like:999999',
};

export async function server() {
  const folder = mkdtempSync(join(tmpdir(), 'passage-bench-'));
  const file = join(folder, 'passage.db');
  try {
    await measureDatabase('SQLite', file, join(folder, 'before.db'), () => seedSqlite(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
  const url = process.env.DATABASE_URL;
  if (!url) return console.log('PostgreSQL is not measured: DATABASE_URL is not set.');
  await withSchema(url, (location) =>
    withSchema(url, (before) =>
      measureDatabase('PostgreSQL', location, before, () => seedPostgres(location)),
    ),
  );
  await withSchema(url, twoProcesses);
}

/** Seconds until a server has compiled its code: two to three thousand logins. */
const warmUp = 6;

/** Part of a core that each of two processes gets: load generator and database need more than the rest of one. */
const coreShare = 0.2;
const peopleEach = 48;

/**
 * Logins of one and of two processes on one database, with so little processor time for each that the cores never run out, and so
 * many people for each that it is never without work.
 *
 * @param {string} database
 */
async function twoProcesses(database) {
  if (!canLimit)
    return console.log('Two processes are not measured: that needs root and control groups of version 1.');
  const services = [await startService(database), await startService(database)];
  const people = await register(/** @type {Service} */ (services[0]), 2 * peopleEach);
  const half = people.slice(0, peopleEach);
  const cpu = { logins: [], users: [] };
  progress('PostgreSQL: two processes');
  const contestants = {
    '1 process': () => loginRate({ services: services.slice(0, 1), people: half, cpu }, 6),
    '2 processes': () => loginRate({ services, people, cpu }, 6),
  };
  // With a part of a core, compiling would take minutes.
  await interleave({ both: contestants['2 processes'] }, 0, 2 * warmUp);
  const ends = services.map(({ pid }) => limitCpu(pid, coreShare));
  const logins = await interleave(contestants, 9);
  for (const service of services) await service.stop();
  for (const end of ends) end();
  const [one, two] = [at(logins, '1 process'), at(logins, '2 processes')];
  heading(`Processes on PostgreSQL, with ${coreShare} of a core and ${peopleEach} people each`);
  table(
    ['', 'passkey logins/s', 'share'],
    [one, two].map((result) => [result.name, cell(result), short(ratio(result, one))]),
  );
  goal('logins/s of two processes, times as many as of one', ratio(two, one), '≥', 1.6);
}

/** @typedef {{ services: Service[], people: Person[], cpu: { logins: number[], users: number[] } }} Contestant */

/**
 * @param {'SQLite' | 'PostgreSQL'} kind
 * @param {string} database
 * @param {string} databaseBefore
 * @param {() => void | Promise<void>} seed
 */
async function measureDatabase(kind, database, databaseBefore, seed) {
  progress(`${kind}: starting`);
  const first = await startService(database);
  const people = await register(first);
  /** @type {Record<string, Contestant>} */
  const contestants = {};
  /** @param {string} name @param {Service[]} services @param {Person[]} people */
  const enter = (name, services, people) => {
    contestants[name] = { services, people, cpu: { logins: [], users: [] } };
  };
  enter('1 process', [first], people);
  if (baseline) {
    const before = await startService(databaseBefore, 'before');
    enter('1 process, before', [before], await register(before));
  }
  if (kind === 'SQLite') await livez(contestants);
  heading(`Server on ${kind}`);
  progress(`${kind}: logins`);
  const logins = await interleave(
    mapValues(contestants, (one) => () => loginRate(one)),
    9,
    warmUp,
  );
  progress(`${kind}: users`);
  const users = await interleave(
    mapValues(contestants, (one) => () => getRate(one)),
    9,
    warmUp,
  );
  table(
    [
      '',
      'passkey logins/s',
      'share',
      'CPU of a login, ms',
      '`user.get`/s',
      'share',
      'CPU of a `user.get`, µs',
    ],
    Object.entries(contestants).map(([name, { cpu }]) => [
      name,
      cell(at(logins, name)),
      short(ratio(at(logins, name), at(logins, '1 process'))),
      short(median(at(logins, name), cpu.logins)),
      cell(at(users, name)),
      short(ratio(at(users, name), at(users, '1 process'))),
      short(median(at(users, name), cpu.users) * 1000),
    ]),
  );
  if (baseline) {
    /** @param {Record<string, Result>} rates */
    const gain = (rates) => ratio(at(rates, '1 process'), at(rates, '1 process, before'));
    goal(`${kind}: logins/s, times as many as before`, gain(logins), '≥', 2);
    goal(`${kind}: \`user.get\`/s, times as many as before`, gain(users), '≥', 3);
  }
  for (const { services } of Object.values(contestants).slice(1)) await services.at(-1)?.stop();

  progress(`${kind}: making ${total.toLocaleString('en')} users\n`);
  await seed();
  /** @type {[string, { median: number, slowest: number, count: number }][]} */
  const rows = [];
  for (const [name, query] of Object.entries(lists)) rows.push([name, await listTimes(first, query)]);
  heading(`Lists of ${total.toLocaleString('en')} users on ${kind}, over HTTP`);
  table(
    ['', 'median, ms', 'slowest of 7', 'total'],
    rows.map(([name, { median, slowest, count }]) => [
      name,
      short(median),
      short(slowest),
      count.toLocaleString('en'),
    ]),
  );
  goal(`${kind}: page of all users, ms`, rows[0]?.[1].median ?? Number.NaN, '≤', 20);
  await first.stop();
}

/**
 * What answering costs beside the answer: `GET /livez` does nothing else.
 *
 * @param {Record<string, Contestant>} contestants
 */
async function livez(contestants) {
  const peer = fork(new URL('hono.mjs', import.meta.url));
  const [port] = await once(peer, 'message');
  /** @type {Record<string, { url: string, cpu: () => number, each: number[] }>} */
  const servers = {
    '@hono/node-server': { url: `http://127.0.0.1:${port}`, cpu: () => cpuOf(peer.pid), each: [] },
    'the same, with our headers': {
      url: `http://127.0.0.1:${port}/headers`,
      cpu: () => cpuOf(peer.pid),
      each: [],
    },
  };
  for (const [
    name,
    {
      services: [service],
    },
  ] of Object.entries(contestants)) {
    if (service) servers[name] = { url: service.url, cpu: service.cpu, each: [] };
  }
  progress('livez');
  const amount = 20_000;
  const results = await interleave(
    mapValues(servers, ({ url, cpu, each }) => async () => {
      const before = cpu();
      const { perSecond } = await load({ url: `${url}/livez`, connections: 16, amount });
      each.push(((cpu() - before) * 1000) / amount);
      return perSecond;
    }),
    15,
    2,
  );
  peer.kill();
  const base = at(results, '@hono/node-server');
  heading('`GET /livez`: requests/s with 16 connections');
  table(
    ['', 'requests/s', 'share', 'CPU of a request, µs'],
    Object.values(results).map((result) => [
      result.name,
      cell(result),
      short(ratio(result, base)),
      short(median(result, servers[result.name]?.each ?? [])),
    ]),
  );
  goal('`GET /livez`, share of @hono/node-server', ratio(at(results, '1 process'), base), '≥', 0.9);
}

/**
 * @typedef {object} Person
 * @property {string} identifier
 * @property {string} userId
 * @property {VirtualAuthenticator} authenticator
 */

/** @param {Service} service @param {number} [count] @returns {Promise<Person[]>} */
async function register(service, count = 16) {
  const people = [];
  for (let index = 0; index < count; index += 1) {
    const identifier = `person${index}@example.org`;
    const authenticator = new VirtualAuthenticator({ origin });
    const { handshake, user } = await post(service, '/register/webauthn/start', {
      identifier,
      authenticator_attachment: 'platform',
    });
    await post(service, '/register/webauthn/finish', {
      handshake_id: handshake.id,
      handshake_response: await authenticator.create(handshake.challenge.publicKey),
      user_id: user.id,
    });
    people.push({ identifier, userId: user.id, authenticator });
  }
  return people;
}

/**
 * Whole logins, all people at once.
 *
 * @param {Contestant} contestant
 * @param {number} [each] Logins of each person.
 */
async function loginRate({ services, people, cpu }, each = 20) {
  const count = people.length * each;
  const before = cpuOfAll(services);
  const begin = performance.now();
  await Promise.all(
    people.map(async ({ identifier, authenticator }, index) => {
      for (let turn = 0; turn < each; turn += 1) {
        const service = /** @type {Service} */ (services[(index + turn) % services.length]);
        const { handshake, user } = await post(service, '/login/webauthn/start', { identifier });
        await post(service, '/login/webauthn/finish', {
          handshake_id: handshake.id,
          handshake_response: await authenticator.get(handshake.challenge.publicKey),
          user_id: user.id,
        });
      }
    }),
  );
  const seconds = (performance.now() - begin) / 1000;
  cpu.logins.push((cpuOfAll(services) - before) / count);
  return count / seconds;
}

/** @param {Contestant} contestant */
async function getRate({ services, people, cpu }) {
  const amount = 3000;
  const before = cpuOfAll(services);
  const rates = await Promise.all(
    services.map(({ url }) =>
      load({
        url: `${url}/api/v1/apps/${appId}/users/${people[0]?.userId}`,
        headers,
        connections: 8,
        amount,
      }),
    ),
  );
  cpu.users.push((cpuOfAll(services) - before) / amount / services.length);
  return rates.reduce((sum, { perSecond }) => sum + perSecond, 0);
}

/** @param {Service[]} services */
function cpuOfAll(services) {
  return services.reduce((sum, service) => sum + service.cpu(), 0);
}

/**
 * @param {Service} service
 * @param {string} query
 */
async function listTimes({ url }, query) {
  progress(query || 'newest');
  const times = [];
  let count = 0;
  for (let round = 0; round < 7; round += 1) {
    const begin = performance.now();
    const response = await fetch(`${url}/api/v1/apps/${appId}/users?${query}`, { headers });
    count = (await response.json()).total_users;
    times.push(performance.now() - begin);
  }
  process.stderr.write('\n');
  return { median: quantile(times, 0.5), slowest: Math.max(...times), count };
}

const dispatcher = new Agent({ connections: peopleEach });

/**
 * Not by `fetch`, which takes more of the cores that the servers need.
 *
 * @param {Service} service
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
async function post({ url }, path, body) {
  const byte = () => Math.floor(Math.random() * 256);
  const answer = await request(`${url}/auth/v1/apps/${appId}${path}`, {
    dispatcher,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      origin,
      'x-forwarded-for': `10.${byte()}.${byte()}.${byte()}`,
    },
    body: JSON.stringify(body),
  });
  if (answer.statusCode >= 300) throw new Error(`${path} was answered with ${answer.statusCode}`);
  return answer.body.json();
}
