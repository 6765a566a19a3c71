import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import type { Logger } from 'pino';
import { version } from '../../package.json';
import { outbox } from '../delivery/outbox.ts';
import { type Environment, readEnvironment } from '../environment.ts';
import type { PassageServer, ServerLogger } from '../index.ts';
import type { Use } from '../storage/database.ts';
import { isPostgres } from '../storage/location.ts';
import { suggest } from '../strict.ts';
import { type Command, UsageError } from './command.ts';
import { commands } from './commands.ts';
import { commonOptions, helpOf, listOf, usageOf } from './help.ts';

/** Runs the command that the arguments name, and ends the process with 1 if it fails, or with 2 if the arguments are wrong. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await runCommand(argv);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const usage = error instanceof UsageError;
    const text = message || code || 'failed';
    console.error(`passage-server: ${usage ? text : text.replaceAll(/\s*\n\s*/g, ' ')}`);
    process.exit(usage ? 2 : 1);
  }
}

/**
 * Runs the command that the arguments name, and prints its output.
 *
 * @throws {@link UsageError} when the arguments are wrong; nothing has been done then
 */
async function runCommand(argv: readonly string[]): Promise<void> {
  const { command, rest } = findCommand(argv);
  if (!command) return console.log(listOf());
  const { values, positionals } = readArguments(command, rest);
  if (values.help) return console.log(helpAsked(argv) ? listOf() : helpOf(command));
  if (values.version) return console.log(version);
  const { args, rest: further } = readPositionals(command, positionals);
  const opened: PassageServer[] = [];
  const environment = once(() => readEnvironment(process.env, (path) => readFileSync(path, 'utf8')));
  const logger = once(() =>
    createLogger(environment(), command.names[0] === 'start' || values.verbose === true),
  );
  const use = (server: PassageServer) => {
    opened.push(server);
    return server;
  };
  const open = async (mode: Use = 'visit') => {
    requireDatabase(environment());
    // Loaded when needed, so that help and errors of usage appear at once.
    const { openServer } = await import('../server.ts');
    const { options } = environment();
    // Messages that a command sends must not mix with its output.
    const delivery = options.delivery ?? outbox({ print: console.error });
    const opened = await openServer(
      { ...options, delivery, logger: logger() },
      { use: mode, firstApp: false },
    );
    use(opened.server);
    return opened;
  };
  try {
    const result = await command.run({
      args,
      rest: further,
      options: values as never,
      get logger() {
        return logger();
      },
      environment,
      use,
      async open(mode) {
        return (await open(mode)).server;
      },
      async openService() {
        return (await open()).service;
      },
      async openApp() {
        const { service } = await open();
        const { ManagedApp } = await import('./manage.ts');
        return ManagedApp.find(service, args['[app id]'] ?? args['app id'] ?? '');
      },
      confirm: (question, otherwise) => confirm(question, values.yes === true, otherwise),
    });
    // Users choose their names: escape sequences in them must not reach the terminal.
    const text = values.json ? JSON.stringify(result.data) : result.text.replace(/[^\P{Cc}\n]/gu, '\u{fffd}');
    if (text) console.log(text);
    if (result.failed) process.exitCode = 1;
  } finally {
    for (const server of opened) await server.close();
  }
}

function helpAsked([first]: readonly string[]): boolean {
  return first === undefined || first.startsWith('-');
}

function findCommand(argv: readonly string[]): { command: Command | undefined; rest: readonly string[] } {
  const [first = 'start', second = ''] = argv;
  const named = (name: string) => commands.find(({ names }) => names.includes(name));
  if (first.startsWith('-')) return { command: named('start'), rest: argv };
  if (first === 'help') return { command: undefined, rest: [] };
  for (const words of [3, 2, 1]) {
    const found = argv.length >= words ? named(argv.slice(0, words).join(' ')) : undefined;
    if (found) return { command: found, rest: argv.slice(words) };
  }
  if (argv.length === 0) return { command: named(first), rest: [] };
  const known = commands.flatMap(({ names }) => names);
  if (known.some((name) => name.startsWith(`${first} `))) {
    if (second === '--help') return { command: undefined, rest: [] };
    throw new UsageError(`"${first}" needs one of these commands\n\n${listOf(first)}`);
  }
  const hint = suggest(second.startsWith('-') ? first : `${first} ${second}`.trim(), known);
  const shortHint = suggest(first, known);
  const text = [hint, shortHint].find((one) => one.startsWith('did')) ?? 'see the list';
  throw new UsageError(`Unknown command "${first}": ${text}\n\n${listOf()}`);
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

function readArguments(command: Command, args: readonly string[]): { values: Values; positionals: string[] } {
  const options = { ...command.options, ...commonOptions };
  const config = Object.entries(options).map(
    ([name, { value }]) => [name, { type: value ? ('string' as const) : ('boolean' as const) }] as const,
  );
  try {
    const parsed = parseArgs({
      args: [...args],
      options: Object.fromEntries(config),
      allowPositionals: true,
    });
    return { values: parsed.values as Values, positionals: parsed.positionals };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const [, name = ''] = /'--?([^'\s=]+)/.exec(message) ?? [];
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      throw new UsageError(wrong(command, `"--${name}" is unknown: ${suggest(name, Object.keys(options))}`));
    }
    const needs = options[name]?.value;
    throw new UsageError(
      wrong(command, needs ? `"--${name}" needs a <${needs}>` : `"--${name}" takes no value`),
    );
  }
}

function readPositionals(command: Command, given: readonly string[]) {
  const names = command.positionals ?? [];
  const only = names[0] === '[app id]' && given.length < names.length;
  const wanted = only ? names.slice(1) : names;
  const missing = wanted.find((_, index) => !given[index]);
  if (missing !== undefined) throw new UsageError(wrong(command, `the argument <${missing}> is missing`));
  const rest = given.slice(wanted.length);
  if (rest.length > 0 && !command.rest) {
    throw new UsageError(wrong(command, `unexpected argument "${rest[0]}"`));
  }
  const args = Object.fromEntries(wanted.map((name, index) => [name, given[index] ?? '']));
  return { args: { ...(only && { '[app id]': '' }), ...args } as Readonly<Record<string, string>>, rest };
}

function wrong(command: Command, text: string): string {
  return `${command.names[0]}: ${text}\n\n${usageOf(command)}\nFor more: passage-server ${command.names[0]} --help`;
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

const silence: ServerLogger = { info() {}, warn() {}, error() {} };

function createLogger({ logLevel }: Environment, loud: boolean): ServerLogger {
  if (!loud) return silence;
  // Loaded only if there is something to print.
  const log = once((): Logger => {
    const { pino }: typeof import('pino') = createRequire(import.meta.url)('pino');
    return pino({ level: logLevel }, pino.destination(2));
  });
  return {
    info: (fields, text) => log().info(fields, text),
    warn: (fields, text) => log().warn(fields, text),
    error: (fields, text) => log().error(fields, text),
  };
}

/** A command must not create an empty database at a mistyped path. */
function requireDatabase({ options: { database = '.passage/passage.db' } }: Environment): void {
  if (isPostgres(database) || existsSync(database)) return;
  throw new TypeError(
    'DATABASE_URL names a SQLite file that does not exist: correct the path, or start the server once',
  );
}

async function confirm(question: string, yes: boolean, otherwise = ''): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new Error(`${question} To confirm, repeat the command with --yes${otherwise}`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} [y/N] `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new Error('Nothing was changed');
}
