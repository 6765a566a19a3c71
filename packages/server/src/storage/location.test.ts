import { expect, it } from 'vitest';
import { baseUrl, secret } from '../../test/server.ts';
import { resolveOptions } from '../options.ts';

const resolve = (database: string) => resolveOptions({ baseUrl, secret, database });

it.each([
  ':memory:',
  'passage.db',
  './data/passage.db',
  '/var/lib/passage/my data.db',
  'C:\\passage\\passage.db',
  'c:/passage.db',
  'postgres://localhost/passage',
  'postgresql://passage@db.example.com:5432/passage?sslmode=verify-full',
  'Postgres://localhost/passage',
  'postgres:///passage?host=/var/run/postgresql',
  'postgres://passage:secret@/passage?host=/var/run/postgresql',
  'postgres://passage:p%23s%25s%40@localhost/passage?options=-csearch_path%3Dauth',
  "postgres://passage:it's@localhost/passage",
  'postgres://passage@localhost/schema?application_name=schema',
])('takes the database %s', (database) => {
  expect(resolve(database).database).toBe(database);
});

it.each(['p#ss', 'p%ss', 'p/ss', '12#34', '12?34', '12/34@'])(
  'says to percent-encode the password %s, and does not show it',
  (password) => {
    const start = () => resolve(`postgres://passage:${password}@localhost/passage`);
    expect(start).toThrow('"database" option must be a valid postgres:// URL: percent-encode');
    expect(start).not.toThrow(password);
  },
);

it.each(['schema', 'currentSchema', 'search_path', 'SearchPath'])(
  'refuses to choose the schema by the parameter %s, which the driver ignores',
  (name) => {
    expect(() => resolve(`postgres://localhost/passage?sslmode=disable&${name}=auth`)).toThrow(
      '"database" option must choose the schema by ?options=-csearch_path%3Dname',
    );
  },
);
