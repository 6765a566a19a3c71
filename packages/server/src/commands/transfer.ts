import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { App, Service } from '../service.ts';
import type { FileRecord } from '../users/csv.ts';
import type { Tally } from '../users/transfer.ts';
import { command } from './command.ts';

export const transferCommands = [
  command({
    names: ['users export'],
    summary: 'Write all users with metadata and passkeys to a new file, as JSON Lines',
    details:
      'Passkeys work on another server if its app has the same host in authOrigin. Sessions and events are not exported. Only you can read the file',
    positionals: ['[app id]', 'file'],
    async run({ args, openApp }) {
      const { service, app } = await openApp();
      const { exportUsers } = await import('../users/transfer.ts');
      const file = openSync(args.file, 'wx', 0o600);
      const count = { users: 0, passkeys: 0 };
      try {
        for await (const page of exportUsers(service, app.id)) {
          writeSync(file, page.map((user) => `${JSON.stringify(user)}\n`).join(''));
          count.users += page.length;
          for (const { passkeys } of page) count.passkeys += passkeys.length;
          tell('exported', count.users);
        }
      } finally {
        closeSync(file);
      }
      return {
        text: `Exported ${count.users} users with ${count.passkeys} passkeys to ${args.file}.`,
        data: count,
      };
    },
  }),
  command({
    names: ['users import', 'import'],
    summary:
      'Import users with their IDs from an export, from records of the Management API, or from a CSV file',
    details:
      'A file whose name ends in .csv is read as CSV; its first line names the columns. Other files are read as JSON, one record per line. Every line is checked before anything is written. Users whose ID exists stay unchanged, so an interrupted import can be repeated. Metadata fields must be in the app’s userMetadataSchema',
    positionals: ['app id', 'file'],
    options: {
      'dry-run': { summary: 'Check the file without importing it' },
      format: {
        value: 'format',
        summary: 'csv or jsonl. Default is csv if the file name ends in .csv, else jsonl',
      },
    },
    async run({ args, options, openApp }) {
      const format = options.format ?? (/\.csv$/i.test(args.file) ? 'csv' : 'jsonl');
      if (format !== 'csv' && format !== 'jsonl') throw new TypeError('--format must be csv or jsonl');
      if (!(await stat(args.file)).isFile())
        throw new TypeError(
          `${args.file} must be a file, because it is read twice: write what a pipe returns to a file first`,
        );
      const { service, app } = await openApp();
      const { readCsv } = await import('../users/csv.ts');
      const ignored: string[] = [];
      const read = () =>
        format === 'csv'
          ? readCsv(args.file, app, (columns) => ignored.splice(0, ignored.length, ...columns))
          : readLines(args.file);
      const total = await checkFile(service, app, read());
      if (ignored.length > 0)
        console.error(`Ignored columns: ${ignored.join(', ').replaceAll(/\p{Cc}/gu, '\u{fffd}')}`);
      if (options['dry-run']) {
        return { text: `${total} users can be imported.`, data: { users: total, dryRun: true, ignored } };
      }
      const { imported, existing, conflicts } = await writeFile(service, app, read());
      const lines = [
        `${imported} users imported, ${existing} already existed.`,
        ...conflicts.slice(0, shown),
      ];
      const failed = conflicts.length > 0;
      return { text: lines.join('\n'), data: { imported, existing, conflicts, ignored }, failed };
    },
  }),
];

/** Most invalid lines to list. */
const shown = 50;

/** @throws TypeError that lists lines that cannot be imported */
async function checkFile(service: Service, app: App, records: AsyncIterable<FileRecord>): Promise<number> {
  const { readArrival } = await import('../users/transfer.ts');
  const faults: string[] = [];
  let total = 0;
  let wrong = 0;
  for await (const { number, value, fault } of records) {
    total += 1;
    try {
      if (fault) throw new TypeError(fault);
      readArrival(service, app, value);
    } catch (error) {
      wrong += 1;
      if (faults.length < shown) faults.push(`Line ${number} of the file ${(error as Error).message}`);
    }
    tell('checked', total);
  }
  if (wrong > 0) {
    throw new TypeError(
      `${faults.join('; ')}. ${wrong} of ${total} lines are invalid; no users were imported`,
    );
  }
  return total;
}

async function writeFile(service: Service, app: App, records: AsyncIterable<FileRecord>) {
  const { batchSize, readArrival, writeArrivals } = await import('../users/transfer.ts');
  const { noteGrowth } = await import('../storage/maintenance.ts');
  const result = { imported: 0, existing: 0, conflicts: [] as string[] };
  let batch: { number: number; arrival: ReturnType<typeof readArrival> }[] = [];
  let batches = 0;
  let tally: Tally = { users: 0 };
  const flush = async () => {
    if (batch.length === 0) return;
    const done = await writeArrivals(
      service,
      app,
      batch.map(({ arrival }) => arrival),
      tally,
    );
    const { written, existing, incomplete } = done;
    tally = done.tally;
    for (const { number, arrival } of batch) {
      const { id } = arrival.user;
      if (written.has(id)) result.imported += 1;
      else if (existing.has(id)) result.existing += 1;
      else result.conflicts.push(`Line ${number}: the email address or phone number belongs to another user`);
      if (incomplete.has(id))
        result.conflicts.push(`Line ${number}: imported without a passkey that belongs to another user`);
    }
    batches += 1;
    // At each doubling.
    if (Number.isInteger(Math.log2(batches))) await noteGrowth(service.storage);
    batch = [];
    tell('imported', result.imported + result.existing);
  };
  for await (const { number, value } of records) {
    batch.push({ number, arrival: readArrival(service, app, value) });
    if (batch.length === batchSize) await flush();
  }
  await flush();
  return result;
}

/** Reads JSON, one record per line. */
async function* readLines(file: string): AsyncGenerator<FileRecord> {
  let number = 0;
  for await (const line of createInterface({
    input: createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    number += 1;
    if (line.trim() === '') continue;
    try {
      yield { number, value: JSON.parse(line) };
    } catch {
      yield { number, fault: 'must be one JSON object' };
    }
  }
}

/** Prints the progress of long work. */
function tell(what: string, count: number): void {
  if (count > 0 && count % 10_000 === 0) console.error(`${count} ${what}`);
}
