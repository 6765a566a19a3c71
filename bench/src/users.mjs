// @ts-check
import Database from 'libsql';
import { execute } from './postgres.mjs';
import { appId } from './service.mjs';

/** Users of the large table. */
export const total = 1_000_000;

const columns =
  'app_id, id, email, email_verified, phone, phone_verified, external_id, status, login_count, metadata, created_at, updated_at, last_login_at';

/** @param {string} series A table with the numbers `n` from 1. */
function insert(series) {
  const start = Date.UTC(2024, 0, 1);
  // Every hundredth is inactive, every third has never logged in; ids and times are in no common order.
  const scattered = '(n * 7919) % 1000003';
  return `insert into users (${columns})
    select '${appId}', 'u' || substr(cast(10000000 + ${scattered} as text), 2) || 'AAAAAAAAAAAAAAAA', 'user' || n || '@example.com', 1,
      null, 0, '', case when n % 100 = 0 then 'inactive' else 'active' end, n % 50, null,
      ${start} + n * 40000, ${start} + n * 40000, case when n % 3 = 0 then 0 else ${start} + (${scattered}) * 40000 end
    from ${series}`;
}

/** @param {string} file */
export function seedSqlite(file) {
  const database = new Database(file);
  database.exec('pragma synchronous = off');
  database.exec(
    insert(
      `(with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${total}) select n from numbers)`,
    ),
  );
  database.exec('analyze');
  database.close();
}

/** @param {string} url */
export async function seedPostgres(url) {
  await execute(url, insert(`(select g::bigint as n from generate_series(1, ${total}) g) numbers`));
  await execute(url, 'analyze users');
}
