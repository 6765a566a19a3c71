// @ts-check
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startPassage } from '@passage-auth/testing';
import { countFetches } from './fetches.mjs';
import { at, interleave, median, ratio } from './interleave.mjs';
import { cell, goal, heading, progress, short, table } from './report.mjs';
import { baseline, startService } from './service.mjs';

const child = new URL('child.mjs', import.meta.url);

export async function start() {
  await imports();
  await installSizes();
  const server = await startPassage({ port: 0 });
  await firstToken(server);
  await countFetches(server);
  await server.close();
  await command();
  await testingKit();
}

/** The command on a SQLite file that exists. */
async function command() {
  progress('start of the command');
  const folder = mkdtempSync(join(tmpdir(), 'passage-bench-'));
  const versions = baseline ? /** @type {const} */ (['now', 'before']) : /** @type {const} */ (['now']);
  /** @type {Record<string, { cpu: number[], memory: number[] }>} */
  const more = Object.fromEntries(versions.map((version) => [version, { cpu: [], memory: [] }]));
  const results = await interleave(
    Object.fromEntries(
      versions.map((version) => [
        version,
        async () => {
          const service = await startService(join(folder, `${version}.db`), version);
          more[version]?.cpu.push(service.cpu());
          await delay(500);
          more[version]?.memory.push(service.memory());
          await service.stop();
          return service.startup;
        },
      ]),
    ),
    9,
  );
  rmSync(folder, { recursive: true });
  heading('Start of the command, on a SQLite file that exists');
  const row = (/** @type {string} */ version) =>
    [more[version]?.cpu, more[version]?.memory].map((values) => median(at(results, version), values ?? []));
  table(
    ['', 'ms until it answers', 'CPU time, ms', 'idle memory, MB'],
    Object.values(results).map((result) => [result.name, cell(result), ...row(result.name).map(short)]),
  );
  goal('start, ms', results.now?.median ?? Number.NaN, '≤', 400);
  goal('idle memory, MB', row('now')[1] ?? Number.NaN, '≤', 90);
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
  const children = { now: child, ...(baseline && { before: join(baseline, 'bench/src/child.mjs') }) };
  /** @type {Record<string, number[][]>} */
  const runs = Object.fromEntries(Object.keys(children).map((version) => [version, []]));
  const results = await interleave(
    Object.fromEntries(
      Object.entries(children).map(([version, file]) => [
        version,
        async () => Number(runs[version]?.push(await measure(['testing'], process.env, file))),
      ]),
    ),
    7,
  );
  const labels = [
    'import, ms',
    'first `startPassage()`, ms',
    'each further one, ms',
    'memory with two servers, MB',
  ];
  /** @param {string} version @param {number} index */
  const medianOf = (version, index) =>
    median(at(results, version), runs[version]?.map((run) => run[index] ?? 0) ?? []);
  heading('`@passage-auth/testing` in a new process');
  table(
    ['', ...Object.keys(children)],
    labels.map((label, index) => [
      label,
      ...Object.keys(children).map((version) => short(medianOf(version, index))),
    ]),
  );
  goal('import of the kit, ms', medianOf('now', 0), '≤', 250);
  goal('its first server, ms', medianOf('now', 1), '≤', 100);
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @param {URL | string} [file]
 */
async function measure(args, env = process.env, file = child) {
  const process = fork(file, args, { env });
  const [value] = await once(process, 'message');
  await once(process, 'exit');
  return value;
}
