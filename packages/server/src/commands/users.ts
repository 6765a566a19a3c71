import { readFileSync } from 'node:fs';
import type { ImportedUser } from '../index.ts';
import { command } from './command.ts';

export const userCommands = [
  command({
    names: ['users import', 'import'],
    summary: 'Add users with their IDs: JSON records of the Management API, one a line',
    positionals: ['app id', 'file'],
    async run({ args, open }) {
      const users = readRecords(args.file);
      const { imported, existing } = await (await open()).apps.importUsers(args['app id'], users);
      return {
        text: `${imported} users imported, ${existing} were there already.`,
        data: { imported, existing },
      };
    },
  }),
];

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
