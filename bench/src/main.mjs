// @ts-check
import { answers } from './answers.mjs';
import { client } from './client.mjs';
import { http } from './http.mjs';
import { server } from './server.mjs';
import { start } from './start.mjs';
import { verify } from './verify.mjs';

const tables = { answers, verify, http, start, client, server };

for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(tables)) {
  const run = tables[/** @type {keyof typeof tables} */ (name)];
  if (!run) throw new TypeError(`There is no table "${name}", only ${Object.keys(tables).join(', ')}`);

  const start = performance.now();
  await run();
  console.error(`${name} took ${Math.round((performance.now() - start) / 1000)} s`);
}
