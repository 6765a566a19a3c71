// @ts-check
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VirtualAuthenticator } from '@passage-auth/testing';
import { interleave, quantile } from './interleave.mjs';
import { load } from './load.mjs';
import { withSchema } from './postgres.mjs';
import { cell, heading, progress, short, table } from './report.mjs';
import { apiKey, appId, origin, startService } from './service.mjs';
import { seedPostgres, seedSqlite, total } from './users.mjs';

/** @import { Service } from './service.mjs' */

const headers = { authorization: `Bearer ${apiKey}` };

/** Lists of a million users, as queries of the Management API. */
const lists = {
  'the newest 15': '',
  'by e-mail address': 'identifier=user500000@example.com',
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
    await measureDatabase('SQLite', file, () => seedSqlite(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
  const url = process.env.DATABASE_URL;
  if (!url) return console.log('PostgreSQL is not measured: DATABASE_URL is not set.');
  await withSchema(url, (location) => measureDatabase('PostgreSQL', location, () => seedPostgres(location)));
}

/**
 * @param {'SQLite' | 'PostgreSQL'} kind
 * @param {string} database
 * @param {() => void | Promise<void>} seed
 */
async function measureDatabase(kind, database, seed) {
  progress(`${kind}: starting`);
  const services = [await startService(database)];
  const [first] = services;
  if (!first) return;
  await delay(1000);
  const idle = first.memory();
  const people = await register(first);
  // One process more at a time.
  if (kind === 'PostgreSQL') services.push(await startService(database), await startService(database));
  heading(`Server on ${kind}`);
  console.log(`Start-up of an empty database ${short(first.startup)} ms, idle memory ${short(idle)} MB.\n`);
  const counts = services.map((_, index) => index + 1);
  progress(`${kind}: logins`);
  const logins = await interleave(
    Object.fromEntries(counts.map((n) => [`${n}`, () => loginRate(services.slice(0, n), people)])),
    7,
  );
  progress(`${kind}: users`);
  const gets = await interleave(
    Object.fromEntries(counts.map((n) => [`${n}`, () => getRate(services.slice(0, n), people)])),
    9,
  );
  table(
    ['processes', 'passkey logins/s', '`user.get`/s'],
    counts.map((n) => [n, cell(/** @type {any} */ (logins[n])), cell(/** @type {any} */ (gets[n]))]),
  );
  for (const service of services.slice(1)) await service.stop();

  progress(`${kind}: making ${total.toLocaleString('en')} users\n`);
  await seed();
  const rows = [];
  for (const [name, query] of Object.entries(lists)) rows.push([name, ...(await listTimes(first, query))]);
  console.log(`Lists of ${total.toLocaleString('en')} users, over HTTP:\n`);
  table(['', 'median, ms', 'slowest of 7', 'total'], rows);
  await first.stop();
}

/**
 * @typedef {object} Person
 * @property {string} identifier
 * @property {string} userId
 * @property {VirtualAuthenticator} authenticator
 */

/** @param {Service} service @returns {Promise<Person[]>} */
async function register(service) {
  const people = [];
  for (let index = 0; index < 16; index += 1) {
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
 * Whole logins, all people at once, a few each.
 *
 * @param {Service[]} services
 * @param {Person[]} people
 */
async function loginRate(services, people) {
  const each = 6;
  const begin = performance.now();
  await Promise.all(
    people.map(async ({ identifier, authenticator }, index) => {
      for (let count = 0; count < each; count += 1) {
        const service = /** @type {Service} */ (services[(index + count) % services.length]);
        const { handshake, user } = await post(service, '/login/webauthn/start', { identifier });
        await post(service, '/login/webauthn/finish', {
          handshake_id: handshake.id,
          handshake_response: await authenticator.get(handshake.challenge.publicKey),
          user_id: user.id,
        });
      }
    }),
  );
  return (people.length * each) / ((performance.now() - begin) / 1000);
}

/**
 * @param {Service[]} services
 * @param {Person[]} people
 */
async function getRate(services, people) {
  const rates = services.map(({ url }) =>
    load({
      url: `${url}/api/v1/apps/${appId}/users/${people[0]?.userId}`,
      headers,
      connections: 8,
      amount: 1000,
    }),
  );
  return (await Promise.all(rates)).reduce((sum, { perSecond }) => sum + perSecond, 0);
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
  return [short(quantile(times, 0.5)), short(Math.max(...times)), count.toLocaleString('en')];
}

/**
 * @param {Service} service
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
async function post({ url }, path, body) {
  const byte = () => Math.floor(Math.random() * 256);
  const response = await fetch(`${url}/auth/v1/apps/${appId}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      origin,
      'x-forwarded-for': `10.${byte()}.${byte()}.${byte()}`,
    },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path} was answered with ${response.status}`);
  return response.json();
}
