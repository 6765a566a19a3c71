import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import type { App } from '../service.ts';

/** A record of a file: its fields, or the error in it. */
export interface FileRecord {
  /** Line on which it begins. */
  number: number;
  value?: unknown;
  fault?: string;
}

/** Longest record, in bytes. It limits the memory that an unclosed quote takes. */
const longest = 1_000_000;

/** Fields by the names they may have in the header, in lower case and without spaces, `_` and `-`. */
const names = new Map([
  ['id', 'id'],
  ['userid', 'id'],
  ['uniqueid', 'id'],
  ['email', 'email'],
  ['emailaddress', 'email'],
  ['emailverified', 'email_verified'],
  ['phone', 'phone'],
  ['phonenumber', 'phone'],
  ['phoneverified', 'phone_verified'],
  ['externalid', 'external_id'],
  ['status', 'status'],
  ['usermetadata', 'user_metadata'],
  ['metadata', 'user_metadata'],
  ['createdat', 'created_at'],
  ['updatedat', 'updated_at'],
  ['lastloginat', 'last_login_at'],
  ['lastlogin', 'last_login_at'],
  ['logincount', 'login_count'],
]);

type Reader = (text: string) => unknown;

const readers: Readonly<Record<string, Reader>> = {
  email_verified: readFlag,
  phone_verified: readFlag,
  status: (text) => text.toLowerCase(),
  user_metadata: readJson,
  created_at: readTime,
  updated_at: readTime,
  last_login_at: readTime,
  login_count: readNumber,
};

interface Column {
  /** `email`, or `user_metadata.plan`. */
  name: string;
  read: Reader;
}

/**
 * Reads users from a CSV file, one at a time. The first line names the columns, in any order. They are separated by `,`, `;` or a tab.
 *
 * @param ignore Called once with the names of ignored columns.
 * @throws TypeError if the header is invalid
 */
export async function* readCsv(
  file: string,
  app: App,
  ignore: (columns: readonly string[]) => void,
): AsyncGenerator<FileRecord> {
  const parser = parse({
    bom: true,
    delimiter: await findDelimiter(file),
    info: true,
    max_record_size: longest,
    raw: true,
    relax_column_count: true,
    skip_empty_lines: true,
  });
  pipeline(plainLines(file), parser, () => undefined);
  let columns: (Column | undefined)[] | undefined;
  let line = 1;
  try {
    for await (const { record, info, raw } of parser as AsyncIterable<CsvRecord>) {
      line = info.lines + 1;
      if (columns) yield { number: firstLine(info.lines, raw), ...readRow(columns, record) };
      else columns = readHeader(record, app, ignore);
    }
  } catch (error) {
    if (!(error as { code?: string }).code?.startsWith('CSV_')) throw error;
    const { lines = line, message } = error as Error & { lines?: number };
    yield { number: lines, fault: `is not valid CSV from here on: ${message}` };
  }
}

interface CsvRecord {
  record: string[];
  info: { lines: number };
  raw: string;
}

/** The parser knows the line on which a record ends. */
function firstLine(last: number, raw: string): number {
  return last - (raw.trim().match(/\n/g)?.length ?? 0);
}

/** Reads a file with LF line ends, so that line numbers match those of editors. */
async function* plainLines(file: string): AsyncGenerator<string> {
  let held = '';
  for await (const chunk of createReadStream(file, 'utf8')) {
    const text = held + chunk;
    held = text.endsWith('\r') ? '\r' : '';
    yield text.slice(0, text.length - held.length).replaceAll(/\r\n?/g, '\n');
  }
  if (held) yield '\n';
}

async function findDelimiter(file: string): Promise<string> {
  const stream = createReadStream(file, { encoding: 'utf8', end: 65_535 });
  let head = '';
  for await (const chunk of stream) head += chunk;
  const [header = ''] = head.trimStart().split(/[\r\n]/, 1);
  const count = (delimiter: string) => header.split(delimiter).length;
  return [',', ';', '\t'].reduce((best, next) => (count(next) > count(best) ? next : best));
}

function readHeader(
  header: readonly string[],
  { settings }: App,
  ignore: (columns: readonly string[]) => void,
): (Column | undefined)[] {
  const types = new Map<string, string>(settings.userMetadataSchema.map((one) => [one.fieldName, one.type]));
  const columns = header.map((title): Column | undefined => {
    const [, field] = /^\s*(?:user[ _-]?)?metadata\.(.+?)\s*$/i.exec(title) ?? [];
    if (field) return { name: `user_metadata.${field}`, read: readerOf(types.get(field)) };
    const name = names.get(title.toLowerCase().replaceAll(/[\s_-]/g, ''));
    return name === undefined ? undefined : { name, read: readers[name] ?? ((text) => text) };
  });
  const known = columns.flatMap((column) => column?.name ?? []);
  const twice = known.find((name, index) => known.indexOf(name) !== index);
  if (twice)
    throw new TypeError(`The first line of the file names "${twice}" twice: remove one of the two columns`);
  if (!known.includes('email') && !known.includes('phone')) {
    throw new TypeError('The first line of the file must name the columns, including "email" or "phone"');
  }
  const unknown = header.filter((_, index) => !columns[index]);
  if (unknown.length > 0) ignore(unknown);
  return columns;
}

function readRow(
  columns: readonly (Column | undefined)[],
  row: readonly string[],
): Pick<FileRecord, 'value' | 'fault'> {
  if (row.length !== columns.length) {
    return { fault: `has ${row.length} columns, and the first line has ${columns.length}` };
  }
  const user: Record<string, unknown> = {};
  const metadata: Record<string, unknown> = {};
  for (const [index, column] of columns.entries()) {
    const text = row[index]?.trim() ?? '';
    if (!column || text === '') continue;
    const value = column.read(text);
    if (value === undefined) return { fault: `"${column.name}" is not valid` };
    const [, field] = column.name.split(/\.(.*)/s, 2);
    if (field) metadata[field] = value;
    else user[column.name] = value;
  }
  if (Object.keys(metadata).length > 0) {
    user.user_metadata = { ...(user.user_metadata as object | undefined), ...metadata };
  }
  return { value: user };
}

function readerOf(type: string | undefined): Reader {
  if (type === 'boolean') return readFlag;
  if (type === 'integer') return readNumber;
  return (text) => text;
}

function readFlag(text: string): boolean | undefined {
  if (/^(true|yes|1)$/i.test(text)) return true;
  return /^(false|no|0)$/i.test(text) ? false : undefined;
}

function readNumber(text: string): number | undefined {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads a time as APIs and databases write it. Without an offset, it is UTC. */
function readTime(text: string): string | undefined {
  const [, day, time = '00:00:00', offset = 'Z'] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|UTC|[+-]\d\d(?::?\d\d)?(?: UTC)?)?)?$/i.exec(
      text,
    ) ?? [];
  if (!day) return undefined;
  const [, hours, minutes = '00'] = /^([+-]\d\d):?(\d\d)?/.exec(offset) ?? [];
  const whole = time.length === 5 ? `${time}:00` : time;
  return `${day}T${whole}${hours ? `${hours}:${minutes}` : 'Z'}`;
}
