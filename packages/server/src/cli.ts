#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import pino from 'pino';
import { type Environment, readEnvironment } from './environment.ts';
import type { ImportedUser, PassageServer } from './index.ts';
import { resolveOptions } from './options.ts';
import { openServer } from './server.ts';
import type { Use } from './storage/database.ts';
import { restore } from './storage/restore.ts';
import { createSecrets } from './storage/secrets.ts';

const commands: Record<string, (environment: Environment) => Promise<void>> = {
  start,
  apps: work('visit', async (server) => {
    for (const app of await server.apps.list()) console.log(`${app.id}  ${app.authOrigin}  ${app.name}`);
  }),
  'create-app': work('visit', async (server, environment) => {
    const made = server.created ?? (await server.apps.create(environment.app(false)));
    console.log(`PASSAGE_APP_ID=${made.appId}\nPASSAGE_API_KEY=${made.apiKey}`);
  }),
  'create-key': work('visit', async (server) => {
    console.log(`PASSAGE_API_KEY=${(await server.apps.createApiKey(requireArgument('app id'))).apiKey}`);
  }),
  'rotate-key': work('visit', (server) =>
    server.apps.rotateSigningKey(requireArgument('app id'), { immediately: process.argv.includes('--now') }),
  ),
  // Not beside a server: it would go on with the old secret.
  'rotate-secret': work('serve', async (server, environment) => {
    const count = await server.rotateSecret(environment.nextSecret());
    console.log(`${count} keys encrypted with the new secret. Start with it from now on.`);
  }),
  import: work('visit', async (server) => {
    const [appId, file] = [requireArgument('app id'), requireArgument('file', 4)];
    const { imported, existing } = await server.apps.importUsers(appId, readRecords(file));
    console.log(`${imported} users imported, ${existing} were there already.`);
  }),
  backup: work('visit', (server) => server.backup(requireArgument('file'))),
  async restore({ options }) {
    const { database, secret } = resolveOptions(options);
    const held = await restore(requireArgument('file'), database, createSecrets(secret));
    const newest = held.newestEvent
      ? `the newest event is of ${held.newestEvent.toISOString()}`
      : 'no events';
    console.log(
      `Restored: ${held.apps} apps, ${held.users} users, ${held.passkeys} passkeys; ${newest}. Sessions, codes and links are void.`,
    );
    if (held.replaced) console.log(`The replaced database is kept as ${held.replaced}`);
  },
  restored: work('visit', async (server) => {
    await server.voidSecrets();
    console.log('Sessions, codes and links of the backup are void.');
  }),
};

const usage = `passage-server [command]

  start                    Serve (default)
  apps                     List apps
  create-app               Make another app, named by PASSAGE_APP_NAME and PASSAGE_AUTH_ORIGIN
  create-key <app id>      Make another API key
  rotate-key <app id>      Make a new signing key; --now drops the old one at once
  rotate-secret            Encrypt the keys with PASSAGE_NEXT_SECRET
  import <app id> <file>   Add users with their ids: JSON records of the Management API, one a line
  backup <file>            Copy a SQLite database that is in use
  restore <file>           Replace a SQLite database that no server uses by a backup
  restored                 After pg_restore: void the sessions, codes and links of the backup

PASSAGE_SECRET or PASSAGE_SECRET_FILE, and PASSAGE_BASE_URL, must be set; the README lists all variables.`;

/** Makes a command that closes the database whatever happens. */
function work(use: Use, command: (server: PassageServer, environment: Environment) => Promise<void>) {
  return async (environment: Environment) => {
    const server = await open(environment, use);
    await command(server, environment).finally(() => server.close());
  };
}

async function start(environment: Environment): Promise<void> {
  const server = await open(environment, 'serve');
  if (server.created) {
    console.log(`Made the first app. Keep its key: it is not shown again.`);
    console.log(`PASSAGE_APP_ID=${server.created.appId}\nPASSAGE_API_KEY=${server.created.apiKey}`);
  }
  try {
    const { url, port } = await server.listen(environment.listen);
    console.log(`Passage server on port ${port}, for ${url}`);
  } catch (error) {
    await server.close();
    throw error;
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      server.close().then(() => process.exit(0), fail);
    });
  }
}

function open(environment: Environment, use: Use): Promise<PassageServer> {
  const logger = pino({ level: environment.logLevel }, pino.destination(2));
  return openServer({ ...environment.options, app: environment.app(true), logger }, use);
}

/** @throws TypeError that names the line that is no JSON */
function readRecords(file: string): ImportedUser[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line)];
    } catch {
      throw new TypeError(`Line ${index + 1} of the file must be one JSON object`);
    }
  });
}

function requireArgument(name: string, position = 3): string {
  const value = process.argv[position];
  if (!value) throw new TypeError(`The command needs an argument: <${name}>`);
  return value;
}

async function main(name = 'start'): Promise<void> {
  if (name === '--help' || name === 'help') return console.log(usage);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new TypeError(`Unknown command\n\n${usage}`);
  await command(readEnvironment(process.env, (path) => readFileSync(path, 'utf8')));
}

function fail(error: NodeJS.ErrnoException): never {
  const text =
    error.code === 'EADDRINUSE'
      ? 'The port is in use: set PORT to another one, or end the process that has it'
      : error.message;
  console.error(`passage-server: ${text}`);
  process.exit(1);
}

main(process.argv[2]).catch(fail);
