/** The files of `examples/deploy`, read as Docker reads them: `verify.sh` runs what they do, where a container engine is missing. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Passage } from '@passage-auth/core';
import { describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { readEnvironment } from '../packages/server/src/environment.ts';

const read = (name: string) => readFileSync(new URL(`../examples/deploy/${name}`, import.meta.url), 'utf8');

interface ComposeService {
  image?: string;
  build?: { context: string; dockerfile: string; target: string };
  user?: string;
  read_only?: boolean;
  tmpfs?: string[];
  cap_drop?: string[];
  security_opt?: string[];
  privileged?: boolean;
  ports?: string[];
  volumes?: string[];
  networks: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
}

/** One instruction of a Dockerfile, with its lines joined. */
interface Instruction {
  stage: string;
  name: string;
  value: string;
}

function readDockerfile(text: string): Instruction[] {
  const lines = text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .filter((line) => !/^\s*(?:#|$)/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  let stage = '';
  return lines.map((line) => {
    const [, name = '', value = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') stage = /\bAS (\w+)$/.exec(value)?.[1] ?? '';
    return { stage, name, value };
  });
}

const instructions = readDockerfile(read('Dockerfile'));
/** Instructions of a stage, after those of the stage that it is built on. */
function stageOf(name: string): Instruction[] {
  const own = instructions.filter(({ stage }) => stage === name);
  const base = own[0]?.value.split(' ')[0] ?? '';
  return instructions.some(({ stage }) => stage === base) ? [...stageOf(base), ...own] : own;
}

const compose: { services: Record<string, ComposeService>; networks: object; volumes: object } = parse(
  read('compose.yaml'),
  { merge: true },
);
const services = Object.entries(compose.services);
const ours = services.filter(([, { build }]) => build);

/** What env.sh makes, in its form. */
const made: Record<string, string> = {
  PASSAGE_SECRET: randomBytes(32).toString('base64'),
  PASSAGE_APP_ID: '0123456789ab0123456789ab',
  PASSAGE_API_KEY: `${'0123456789'}.${'ab'.repeat(32)}`,
  POSTGRES_PASSWORD: '0123456789abcdef0123456789abcdef',
};

/** Environment of a service, with the variables of Compose filled in. */
function environmentOf(service: string): Record<string, string> {
  const entries = Object.entries(compose.services[service]?.environment ?? {});
  const fill = (text: string) =>
    text.replaceAll(
      /\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}/g,
      (_, name: string, otherwise = '') => made[name] ?? otherwise,
    );
  return Object.fromEntries(entries.map(([name, value]) => [name, fill(value)]));
}

describe('examples/deploy/Dockerfile', () => {
  it('is made of instructions that this test can read', () => {
    expect(instructions.filter(({ name }) => !name)).toEqual([]);
  });

  it.each(['app', 'server'])('runs %s as a user with a number, who is not root', (target) => {
    const users = stageOf(target).filter(({ name }) => name === 'USER');
    // Kubernetes refuses `runAsNonRoot` where the image has a name.
    expect(users.at(-1)?.value).toMatch(/^[1-9]\d{3,}(?::\d+)?$/);
  });

  it.each(['app', 'server'])('starts %s without a shell', (target) => {
    const starts = stageOf(target).filter(({ name }) => name === 'ENTRYPOINT' || name === 'CMD');
    for (const { value } of starts) expect(JSON.parse(value)[0]).toBe('node');
    expect(starts).toHaveLength(1);
  });

  it('has no secret, and no argument or variable for one', () => {
    for (const { name, value } of instructions) {
      if (name === 'ENV' || name === 'ARG') expect(value).not.toMatch(/secret|key|password|token/i);
      expect(value).not.toMatch(/PASSAGE_(?:SECRET|API_KEY)|\.env\b|[A-Za-z0-9+/]{40,}/);
    }
  });

  it('keeps .env and .git out of the image', () => {
    const ignored = read('Dockerfile.dockerignore').split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['**/.env', '.git', '**/node_modules']));
  });
});

describe('examples/deploy/compose.yaml', () => {
  it('has the four services', () => {
    expect(services.map(([name]) => name)).toEqual(['proxy', 'app', 'passage', 'database']);
  });

  it.each(services.filter(([name]) => name !== 'database'))('hardens %s', (_, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    expect(service.privileged).toBeUndefined();
    expect(service.user ?? '').not.toMatch(/^(?:0|root)\b/);
  });

  it.each(ours)('builds %s from a stage that exists', (_, { build }) => {
    expect(build?.dockerfile).toBe('examples/deploy/Dockerfile');
    expect(instructions.map(({ stage }) => stage)).toContain(build?.target);
  });

  it.each(services)(
    'waits in %s for services that exist, and for the health of those that tell',
    (_, service) => {
      for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
        const needed = compose.services[name];
        const image = needed?.build ? stageOf(needed.build.target) : [];
        const tells = needed?.healthcheck !== undefined || image.some(({ name }) => name === 'HEALTHCHECK');
        expect(needed, name).toBeDefined();
        expect(condition, name).toBe(tells ? 'service_healthy' : 'service_started');
      }
    },
  );

  it('opens one port, that of the proxy', () => {
    expect(services.filter(([, { ports }]) => ports).map(([name]) => name)).toEqual(['proxy']);
  });

  it.each(services)('names networks, volumes and files of %s that exist', (_, { networks, volumes = [] }) => {
    for (const network of networks) expect(Object.keys(compose.networks)).toContain(network);
    for (const volume of volumes) {
      const [from = ''] = volume.split(':');
      if (from.startsWith('.')) expect(read(from)).not.toBe('');
      else expect(Object.keys(compose.volumes)).toContain(from);
    }
  });

  it('sets variables that the server reads, to what it takes', () => {
    const variables = environmentOf('passage');
    const { warnings, options, app } = readEnvironment(variables, () => '');
    expect(warnings).toEqual([]);
    expect(app(true)).toMatchObject({ id: made.PASSAGE_APP_ID, apiKey: made.PASSAGE_API_KEY });
    expect(options.baseUrl).toBe('http://localhost:8080/passage');
  });

  it('sets variables that the app reads, to what it takes', () => {
    for (const [name, value] of Object.entries(environmentOf('app'))) vi.stubEnv(name, value);
    const names = Object.keys(environmentOf('app'));
    const known = readFileSync(new URL('../packages/core/src/options.ts', import.meta.url), 'utf8');
    for (const name of names) expect(known, name).toContain(name);
    expect(() => new Passage()).not.toThrow();
    vi.unstubAllEnvs();
  });

  it('has no secret: each comes from a variable that env.sh makes, or is asked for', () => {
    const names = [...read('env.sh').matchAll(/^(\w+)=\$\(openssl/gm)].map(([, name]) => name);
    expect(names).toEqual(Object.keys(made));
    const used = [...read('compose.yaml').matchAll(/\$\{(\w+)(?::([?-]))?/g)];
    for (const [, name, otherwise] of used) if (otherwise !== '-') expect(names, name).toContain(name);
    for (const [service, { environment = {} }] of services) {
      for (const [name, value] of Object.entries(environment)) {
        if (/SECRET|KEY|PASSWORD/.test(name))
          expect(value, `${service} ${name}`).toMatch(/^\$\{\w+(?::\?[^}]*)?\}$/);
      }
    }
  });
});
