import type { Environment } from '../environment.ts';
import type { PassageServer, ServerLogger } from '../index.ts';
import type { Service } from '../service.ts';
import type { Use } from '../storage/database.ts';
import type { ManagedApp } from './manage.ts';

/** An option of a command: `--now`, or `--port <port>`. */
export interface Option {
  /** What it does, for the help. */
  summary: string;
  /** Name of its value. Default is none: the option is on or off. */
  value?: string;
}

type Values<Options> = {
  readonly [Name in keyof Options]?: Options[Name] extends { value: string } ? string : boolean;
};

/** What a command receives. */
export interface Call<Positional extends string, Options> {
  /** Arguments by their names. Empty for an app ID in brackets that was left out. */
  readonly args: Readonly<Record<Positional, string>>;
  /** Further arguments, if the command takes any number. */
  readonly rest: readonly string[];
  readonly options: Values<Options>;
  /** Log of the command: silent without `--verbose`. */
  readonly logger: ServerLogger;
  /** @throws TypeError naming the variable that is wrong */
  environment(): Environment;
  /**
   * Opens the database without creating an app. It is closed after the command.
   *
   * @param mode Whether the command works beside a server (`visit`) or must be alone with a SQLite file (`serve`). Default is `visit`.
   * @throws TypeError if the SQLite file does not exist
   */
  open(mode?: Use): Promise<PassageServer>;
  /** Opens the database as `open` does, for work that the programmatic API does not offer. */
  openService(): Promise<Service>;
  /**
   * Opens the database and finds the app of `[app id]`, or without it the only app.
   *
   * @throws AppNotFoundError if there is no such app
   */
  openApp(): Promise<ManagedApp>;
  /** Closes a server after the command. */
  use(server: PassageServer): PassageServer;
  /**
   * Asks for a confirmation, unless `--yes` is set.
   *
   * @param otherwise Advice if there is no terminal to ask on.
   * @throws Error without a confirmation
   */
  confirm(question: string, otherwise?: string): Promise<void>;
}

/** What a command prints: text for people, data for `--json`. */
export interface Result {
  text: string;
  data: unknown;
  /** Whether the process exits with 1 although the command ran. Default is no. */
  failed?: boolean;
}

export interface Command<Positional extends string = string, Options = Readonly<Record<string, Option>>> {
  /** Words that call it, such as `keys rotate`. The first is the one that the help lists. */
  names: readonly [string, ...string[]];
  /** One line for the list of commands. */
  summary: string;
  /** Further text for the help of the command. */
  details?: string;
  /** Names of the arguments. All are required except `[app id]`, which comes first and may be left out if there is one app. */
  positionals?: readonly Positional[];
  /** Name of further arguments, of which there may be any number. Default is none. */
  rest?: string;
  options?: Options;
  run(call: Call<Positional, Options>): Promise<Result>;
}

/** Defines a command; its arguments and options type its `run`. */
export function command<
  const Positional extends string = never,
  const Options extends Readonly<Record<string, Option>> = Record<never, Option>,
>(definition: Command<Positional, Options>): Command {
  return definition as unknown as Command;
}

/** The command line is wrong: the process prints the usage and exits with 2. */
export class UsageError extends Error {}

/** Options of a command that asks before it does something irreversible. */
export const yes = { yes: { summary: 'Do not ask' } };

/** Formats texts in columns. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
