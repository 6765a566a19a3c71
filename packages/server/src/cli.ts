#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import pino from 'pino';
import { type Environment, readEnvironment } from './environment.ts';
import { createPassageServer, type ImportedUser, type PassageServer } from './index.ts';

const commands: Record<string, (environment: Environment) => Promise<void>> = {
  start,
  async apps(environment) {
    const server = await open(environment);
    for (const app of await server.apps.list()) console.log(`${app.id}  ${app.authOrigin}  ${app.name}`);
    await server.close();
  },
  async 'create-app'(environment) {
    const server = await open(environment);
    const made = server.created ?? (await server.apps.create(environment.app(false)));
    console.log(`PASSAGE_APP_ID=${made.appId}\nPASSAGE_API_KEY=${made.apiKey}`);
    await server.close();
  },
  async 'create-key'(environment) {
    const server = await open(environment);
    console.log(`PASSAGE_API_KEY=${(await server.apps.createApiKey(requireArgument('app id'))).apiKey}`);
    await server.close();
  },
  async 'rotate-key'(environment) {
    const server = await open(environment);
    await server.apps.rotateSigningKey(requireArgument('app id'), {
      immediately: process.argv.includes('--now'),
    });
    await server.close();
  },
  async 'rotate-secret'(environment) {
    const server = await open(environment);
    const count = await server.rotateSecret(environment.nextSecret());
    console.log(`${count} keys encrypted with the new secret. Start with it from now on.`);
    await server.close();
  },
  async import(environment) {
    const [appId, file] = [requireArgument('app id'), requireArgument('file', 4)];
    const server = await open(environment);
    const { imported, existing } = await server.apps.importUsers(appId, readRecords(file));
    console.log(`${imported} users imported, ${existing} were there already.`);
    await server.close();
  },
  async backup(environment) {
    const server = await open(environment);
    await server.backup(requireArgument('file'));
    await server.close();
  },
  async restored(environment) {
    const server = await open(environment);
    await server.voidSecrets();
    console.log('Sessions, codes and links of the backup are void.');
    await server.close();
  },
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
  restored                 After restoring a backup: void its sessions, codes and links

PASSAGE_SECRET or PASSAGE_SECRET_FILE, and PASSAGE_BASE_URL, must be set; the README lists all variables.`;

async function start(environment: Environment): Promise<void> {
  const server = await open(environment);
  if (server.created) {
    console.log(`Made the first app. Keep its key: it is not shown again.`);
    console.log(`PASSAGE_APP_ID=${server.created.appId}\nPASSAGE_API_KEY=${server.created.apiKey}`);
  }
  const { url, port } = await server.listen(environment.listen);
  console.log(`Passage server on port ${port}, for ${url}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      server.close().then(() => process.exit(0));
    });
  }
}

function open(environment: Environment): Promise<PassageServer> {
  const logger = pino({ level: environment.logLevel }, pino.destination(2));
  return createPassageServer({ ...environment.options, app: environment.app(true), logger });
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

main(process.argv[2]).catch((error: NodeJS.ErrnoException) => {
  const text =
    error.code === 'EADDRINUSE'
      ? 'The port is in use: set PORT to another one, or end the process that has it'
      : error.message;
  console.error(`passage-server: ${text}`);
  process.exit(1);
});
