import type { Command, Option } from './command.ts';
import { commands } from './commands.ts';

/** Options that every command takes. */
export const commonOptions: Readonly<Record<string, Option>> = {
  json: { summary: 'Print JSON for scripts' },
  verbose: { summary: 'Also print the log, to standard error' },
  help: { summary: 'Print this help' },
  version: { summary: 'Print the version' },
};

const table = (rows: readonly (readonly [string, string])[]) => {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`).join('\n');
};

const call = ({ names, positionals = [], rest }: Command) =>
  [
    names[0],
    ...positionals.map((name) => (name.startsWith('[') ? name : `<${name}>`)),
    ...(rest ? [`[${rest} …]`] : []),
  ].join(' ');

/** How the command is called, in one line. */
export function usageOf(command: Command): string {
  return `passage-server ${call(command)} [options]`;
}

/** Help of one command. */
export function helpOf(command: Command): string {
  const options = Object.entries({ ...command.options, ...commonOptions }).map(
    ([name, { value, summary }]) => [value ? `--${name} <${value}>` : `--${name}`, summary] as const,
  );
  const [, ...older] = command.names;
  const paragraphs = [
    usageOf(command),
    [command.summary, command.details]
      .filter(Boolean)
      .join('. ')
      .replace(/([^.])$/, '$1.'),
    table(options),
    ...(older.length ? [`Also called: ${older.join(', ')}`] : []),
  ];
  return paragraphs.join('\n\n');
}

/** List of commands, or of those whose name begins with a word. */
export function listOf(noun = ''): string {
  const listed = commands.filter(({ names: [name] }) => !noun || name.startsWith(`${noun} `));
  return `passage-server [command] [options]

${table(listed.map((command) => [call(command), command.summary]))}

passage-server <command> --help lists the options of a command.
Set PASSAGE_BASE_URL, and PASSAGE_SECRET or PASSAGE_SECRET_FILE. docs/server.md lists all variables.`;
}
