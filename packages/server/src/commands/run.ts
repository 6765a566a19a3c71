import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { version } from '../../package.json';
import { type Environment, readEnvironment } from '../environment.ts';
import type { PassageServer, ServerLogger } from '../index.ts';
import { isPostgres } from '../storage/location.ts';
import { suggest } from '../strict.ts';
import { type Command, UsageError } from './command.ts';
import { commands } from './commands.ts';
import { commonOptions, helpOf, listOf, usageOf } from './help.ts';

/**
 * Runs the command that the arguments name, and prints what it has to say.
 *
 * @throws {@link UsageError} when the arguments are wrong; nothing has been done then
 */
export async function runCommand(argv: readonly string[]): Promise<void> {
  const { command, rest } = findCommand(argv);
  if (!command) return console.log(listOf());
  const { values, positionals } = readArguments(command, rest);
  if (values.help) return console.log(helpAsked(argv) ? listOf() : helpOf(command));
  if (values.version) return console.log(version);
  const names = command.positionals ?? [];
  const missing = names[positionals.length];
  if (missing !== undefined || positionals.includes('')) {
    throw new UsageError(
      wrong(command, `the argument <${missing ?? names[positionals.indexOf('')]}> is missing`),
    );
  }
  if (positionals.length > names.length) {
    throw new UsageError(wrong(command, `there is an argument too many: "${positionals[names.length]}"`));
  }
  const opened: PassageServer[] = [];
  const environment = once(() => readEnvironment(process.env, (path) => readFileSync(path, 'utf8')));
  const logger = once(() =>
    createLogger(environment(), command.names[0] === 'start' || values.verbose === true),
  );
  const use = (server: PassageServer) => {
    opened.push(server);
    return server;
  };
  try {
    const result = await command.run({
      args: Object.fromEntries(names.map((name, index) => [name, positionals[index] ?? ''])),
      options: values as never,
      get logger() {
        return logger();
      },
      environment,
      use,
      async open(mode = 'visit') {
        requireDatabase(environment());
        // Loaded when it is needed: help and mistakes are answered at once.
        const { openServer } = await import('../server.ts');
        return use(
          await openServer({ ...environment().options, logger: logger() }, { use: mode, firstApp: false }),
        );
      },
      confirm: (question) => confirm(question, values.yes === true),
    });
    const text = values.json ? JSON.stringify(result.data) : result.text;
    if (text) console.log(text);
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
  const long = named(`${first} ${second}`);
  if (long) return { command: long, rest: argv.slice(2) };
  const short = named(first);
  if (short) return { command: short, rest: argv.slice(1) };
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

function wrong(command: Command, text: string): string {
  return `${command.names[0]}: ${text}\n\n${usageOf(command)}\npassage-server ${command.names[0]} --help says more.`;
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
  return loud ? pino({ level: logLevel }, pino.destination(2)) : silence;
}

/** A command that is to find something must not make an empty database of a mistyped path. */
function requireDatabase({ options: { database = '.passage/passage.db' } }: Environment): void {
  if (isPostgres(database) || existsSync(database)) return;
  throw new TypeError(
    'DATABASE_URL names a SQLite file that does not exist: correct the path, or start the server once',
  );
}

async function confirm(question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new Error(`${question} Repeat the command with --yes, or wait`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} [y/N] `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new Error('Nothing was changed');
}
