// @ts-check
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { startPassage } from '@passage-auth/testing';
import { countFetches } from './fetches.mjs';
import { interleave, quantile, ratio } from './interleave.mjs';
import { cell, goal, heading, progress, short, table } from './report.mjs';

const child = new URL('child.mjs', import.meta.url);

export async function start() {
  await imports();
  await installSizes();
  const server = await startPassage({ port: 0 });
  await firstToken(server);
  await countFetches(server);
  await server.close();
  await testingKit();
}

async function imports() {
  const packages = {
    '@passage-auth/core': '@passage-auth/core',
    'jose and ofetch': 'jose,ofetch',
    jose: 'jose',
    'fast-jwt and get-jwks': 'fast-jwt,get-jwks',
    'aws-jwt-verify': 'aws-jwt-verify',
    '@clerk/express': '@clerk/express',
  };
  progress('import');
  const results = await interleave(
    Object.fromEntries(
      Object.entries(packages).map(([name, list]) => [name, () => measure(['import', list])]),
    ),
    15,
  );
  heading('Import, ms, in a new process');
  const [own, base] = [results['@passage-auth/core'], results['jose and ofetch']];
  if (!own || !base) throw new Error('Not measured');
  table(
    ['', 'ms', 'share of jose and ofetch'],
    Object.values(results).map((result) => [result.name, cell(result), short(ratio(result, base))]),
  );
  goal('import of core, share of jose and ofetch', ratio(own, base), '≤', 1.1);
}

async function installSizes() {
  heading('Installed, with all dependencies');
  const names = [
    '@passage-auth/core',
    '@passage-auth/express',
    'jose',
    'fast-jwt',
    'aws-jwt-verify',
    'express-oauth2-jwt-bearer',
    '@fastify/jwt',
    'get-jwks',
    '@clerk/express',
    'passport-jwt',
    'jwks-rsa',
  ];
  table(
    ['', 'packages', 'kB'],
    names.map((name) => {
      const folders = foldersOf(name, import.meta.filename, new Set());
      const bytes = [...folders].reduce((total, folder) => total + sizeOf(folder), 0);
      return [name, folders.size, short(bytes / 1000)];
    }),
  );
}

/**
 * The folders of a package and of all that it depends on. Peers, that is frameworks, are not counted.
 *
 * @param {string} name
 * @param {string} from
 * @param {Set<string>} found
 */
function foldersOf(name, from, found) {
  const folder = createRequire(from)
    .resolve.paths(name)
    ?.map((path) => join(path, name))
    .find((path) => statSync(path, { throwIfNoEntry: false }));
  if (!folder) return found;
  const real = realpathSync(folder);
  if (found.has(real)) return found;
  found.add(real);
  const manifest = JSON.parse(readFileSync(join(real, 'package.json'), 'utf8'));
  for (const dependency of Object.keys(manifest.dependencies ?? {})) {
    foldersOf(dependency, join(real, 'package.json'), found);
  }
  return found;
}

/**
 * Bytes of what is published. Of our own packages, that is what `files` names.
 *
 * @param {string} folder
 */
function sizeOf(folder) {
  const own = !folder.includes('node_modules');
  let bytes = 0;
  for (const entry of readdirSync(own ? join(folder, 'dist') : folder, {
    recursive: true,
    withFileTypes: true,
  })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile() && (own || !path.slice(folder.length).includes('/node_modules/')))
      bytes += statSync(path).size;
  }
  return bytes;
}

/** @param {import('@passage-auth/testing').TestPassage} server */
async function firstToken(server) {
  const env = {
    ...process.env,
    ...server.env,
    ISSUER: String(server.options.issuer),
    TOKEN: server.signToken(),
  };
  const names = ['Passage', 'jose', 'fast-jwt, get-jwks'];
  progress('first verified token');
  const results = await interleave(
    Object.fromEntries(names.map((name) => [name, () => measure(['first', name], env)])),
    11,
  );
  heading('First verified token, ms: import, fetch of the keys, verification');
  table(
    ['', 'ms'],
    Object.values(results).map((result) => [result.name, cell(result)]),
  );
}

async function testingKit() {
  progress('testing kit');
  /** @type {number[][]} */
  const runs = [];
  await interleave({ kit: async () => runs.push(await measure(['testing'])) }, 7);
  const labels = [
    'import',
    'first `startPassage()`, with its RSA key',
    'each further one',
    'memory of the process (two servers)',
  ];
  heading('`@passage-auth/testing` in a new process');
  table(
    ['', ''],
    labels.map((label, index) => [
      label,
      `${short(
        quantile(
          runs.map((run) => run[index] ?? 0),
          0.5,
        ),
      )} ${index === 3 ? 'MB' : 'ms'}`,
    ]),
  );
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
async function measure(args, env = process.env) {
  const process = fork(child, args, { env });
  const [value] = await once(process, 'message');
  await once(process, 'exit');
  return value;
}
