import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { limitVariables, optionVariables } from './environment.ts';
import { managementRoutes } from './management/management.ts';
import { limits, options } from './options.ts';
import { authRoutes } from './router.ts';
import { metadataField, newApp } from './settings.ts';

const file = fileURLToPath(new URL('../../../docs/server.md', import.meta.url));
const page = readFileSync(file, 'utf8').replaceAll('\r\n', '\n');

it('lists every route in docs/server.md', () => {
  const [, auth = '', management = ''] = page.split(/^(?:Auth|Management) API, below/m);
  const listed = (text: string) =>
    [...text.matchAll(/^\| `([A-Z]+ \/\S*)` \|/gm)].map(([, route]) => route).sort();
  const known = (routes: typeof authRoutes) =>
    routes.map(({ method, path }) => `${method} ${path || '/'}`).sort();
  expect(listed(auth)).toEqual(known(authRoutes));
  expect(listed(management)).toEqual(known(managementRoutes));
});

it.each([
  ['Auth API', authRoutes],
  ['Management API', managementRoutes],
])('describes every route of the %s in docs/protocol.md', (api, routes) => {
  const protocol = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
  const section = protocol.split(/^## \d+ /m).find((part) => part.startsWith(`${api}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  const described = rows.flatMap((row) => {
    const status = /^\|[^|]*\|[^|]*\| \**(2\d\d)\b/.exec(row)?.[1];
    return [...row.matchAll(/`([A-Z]+ \/[^`]*)`/g)].map(([, route]) => ({ route, status }));
  });
  const statuses = new Map(
    routes.map(({ method, path, status = 200 }) => [`${method} ${path || '/'}`, `${status}`]),
  );
  expect(described.map(({ route }) => route).sort()).toEqual([...statuses.keys()].sort());
  // Routes that only refuse have no status of success.
  const wrong = described.filter(({ route, status }) => status && status !== statuses.get(route ?? ''));
  expect(wrong).toEqual([]);
});

/** A member of a schema, with the comment above it. */
interface Member {
  name: string;
  text: string;
  /** As the comment has it. */
  initial: string;
  schema: z.core.$ZodType;
}

/** Reads what the comments of a file say of the members of a schema: those after `start`, up to the end of the statement. */
function membersOf(path: string, starts: readonly string[], shape: z.core.$ZodShape): Member[] {
  const source = readFileSync(new URL(path, import.meta.url), 'utf8').replaceAll('\r\n', '\n');
  return starts.flatMap((start) => {
    const [, body = ''] = source.split(`\n${start} = strict({\n`);
    const comments = body.slice(0, body.indexOf('\n});')).matchAll(/^ {2}\/\*\*(.*?)\*\/\n {2}(\w+):/gms);
    return [...comments].map(([, comment = '', name = '']) => {
      const text = comment.replaceAll(/\s*\n\s*\* ?/g, ' ').trim();
      const [what = '', initial = ''] = text.split(' Default is ');
      return {
        name,
        text: what.replace(/\.? Required\.$/, '').replace(/\.$/, ''),
        initial: text.endsWith('Required.') ? 'required' : initial.replace(/\.$/, '') || '–',
        schema: shape[name] as z.core.$ZodType,
      };
    });
  });
}

const variables: Readonly<Record<string, string>> = {
  ...optionVariables,
  ...limitVariables,
  secret: '`PASSAGE_SECRET`, `PASSAGE_SECRET_FILE`',
  app: '`PASSAGE_APP_ID`, `PASSAGE_API_KEY`, `PASSAGE_APP_NAME`, `PASSAGE_AUTH_ORIGIN`',
  delivery:
    '`PASSAGE_SMTP_URL` (or `_FILE`), `PASSAGE_SMTP_FROM` and, where mail servers insist on a full host name, `PASSAGE_SMTP_NAME`, or `PASSAGE_WEBHOOK_URL` and `PASSAGE_WEBHOOK_SECRET` (or `_FILE`)',
  eventWebhook: '`PASSAGE_EVENT_WEBHOOK_URL` and `PASSAGE_EVENT_WEBHOOK_SECRET` (or `_FILE`)',
  rateLimits: 'see below',
  logger: '`LOG_LEVEL`',
};

const variableOf = ({ name }: Member) => variables[name]?.replace(/^\w+$/, '`$&`') ?? '–';
const settings = membersOf(
  'settings.ts',
  ['export const newApp', 'const appSettings', 'export const settings'],
  newApp.shape,
);
const fields = membersOf('settings.ts', ['export const metadataField'], metadataField.shape);
const serverOptions = membersOf('options.ts', ['export const options'], options.shape);
const rateLimits = membersOf('options.ts', ['export const limits'], limits.shape);

const tables: Readonly<Record<string, { heads: string[]; rows: string[][] }>> = {
  options: {
    heads: ['Option', 'Variable of the command', 'What it is', 'Default'],
    rows: serverOptions.map((member) => [
      `\`${member.name}\``,
      variableOf(member),
      member.text,
      member.initial,
    ]),
  },
  limits: {
    heads: ['Limit', 'Variable of the command', 'What is counted', 'Default'],
    rows: rateLimits.map((member) => [`\`${member.name}\``, variableOf(member), member.text, member.initial]),
  },
  settings: {
    heads: ['Setting', 'What it is', 'Default'],
    rows: settings.map(({ name, text, initial }) => [`\`${name}\``, text, initial]),
  },
  fields: {
    heads: ['Field', 'What it is', 'Default'],
    rows: fields.map(({ name, text, initial }) => [`\`${name}\``, text, initial]),
  },
};

/** The page with the tables that the schemas make. */
function withTables(text: string): string {
  return text.replaceAll(/(<!-- table: (\w+) -->\n).*?(\n<!-- end -->)/gs, (_, start, name, end) => {
    const { heads, rows } = tables[name] as { heads: string[]; rows: string[][] };
    const lines = [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
    return start + lines.join('\n') + end;
  });
}

describe('docs/server.md', () => {
  it('has the tables of options and settings that the schemas make: `vitest -u` writes them', async () => {
    expect(page.match(/<!-- table: \w+ -->/g)).toHaveLength(Object.keys(tables).length);
    await expect(withTables(page)).toMatchFileSnapshot(file);
  });

  it.each([
    ['options', serverOptions, options.shape],
    ['limits', rateLimits, limits.shape],
    ['settings', settings, newApp.shape],
    ['fields', fields, metadataField.shape],
  ])('describes every one of the %s', (_, members, shape) => {
    expect(members.map(({ name }) => name).sort()).toEqual(Object.keys(shape).sort());
  });

  it.each([...serverOptions, ...settings, ...fields].map((member) => [member.name, member] as const))(
    'gives the default of %s',
    (_, { name, schema, initial }) => {
      const result = (schema as z.ZodType).safeParse(undefined);
      const value: unknown = result.success ? result.data : undefined;
      if (Array.isArray(value)) expect(initial).toBe('none');
      else if (name === 'id') expect(initial).toBe('a random one');
      else if (/^(string|number|boolean)$/.test(typeof value)) expect(initial).toBe(`\`${value}\``);
      else
        expect(initial).toMatch(
          /^(required|–|none|`Date\.now`|`fieldName`|an? .+|all .+|its own .+|the .+|pino .+)$/,
        );
    },
  );

  it.each(rateLimits.map((member) => [member.name, member] as const))(
    'gives the default of %s',
    (_, { schema, initial }) => {
      const { count, window } = (schema as typeof limits.shape.startsPerIp).parse(undefined);
      expect(initial).toBe(`${count} in ${window} seconds`);
    },
  );
});
