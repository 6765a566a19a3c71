// @ts-check
import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import pg from 'pg';

/**
 * Runs some work on a schema of its own, which is a database for all that the server can see, and drops it.
 *
 * @param {string} url
 * @param {(location: string) => Promise<void>} work
 */
export async function withSchema(url, work) {
  const schema = `bench_${randomBytes(8).toString('hex')}`;
  await execute(url, `create schema ${schema}`);
  const location = new URL(url);
  location.searchParams.set('options', `-csearch_path=${schema}`);
  try {
    await work(location.href);
  } finally {
    await execute(url, `drop schema ${schema} cascade`);
  }
}

/**
 * @param {string} url
 * @param {string} statement
 */
export async function execute(url, statement) {
  // libpq's default, which this driver has only where the shell sets USER.
  pg.defaults.user ??= userInfo().username;
  const client = new pg.Client(url);
  await client.connect();
  await client.query(statement);
  await client.end();
}
