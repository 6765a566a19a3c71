import { type Expression, type ExpressionBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { WireError } from '../errors.ts';
import { type RequestContext, type Route, route } from '../http/routes.ts';
import { listedUser } from '../http/schemas.ts';
import type { Service } from '../service.ts';
import type { Schema } from '../storage/schema.ts';
import { readEmail } from '../users/identifiers.ts';
import { listedUserView } from '../users/views.ts';

type Users = ExpressionBuilder<Schema, 'users'>;
type Operator = 'eq' | 'ne' | 'gt' | 'lt' | 'like' | 'not_like';
type Column =
  | 'id'
  | 'email'
  | 'phone'
  | 'login_count'
  | 'status'
  | 'created_at'
  | 'updated_at'
  | 'last_login_at'
  | 'email_verified';

const texts: readonly Operator[] = ['eq', 'ne', 'gt', 'lt', 'like', 'not_like'];
const order: readonly Operator[] = ['eq', 'ne', 'gt', 'lt'];

/** Filters: their operators, and how their values are read. */
const filters = {
  // As it is stored. A part of an address, for `like`, is not an address.
  identifier: { operators: texts, read: (value: string) => readEmail(value) ?? value.toLowerCase() },
  id: { operators: texts, read: String },
  status: { operators: texts, read: String },
  login_count: { operators: order, read: readInteger },
  created_at: { operators: order, read: readTime },
  updated_at: { operators: order, read: readTime },
  last_login_at: { operators: order, read: readTime },
  email_verified: { operators: ['eq'] as readonly Operator[], read: readBoolean },
};
type Filter = keyof typeof filters;
const names = Object.keys(filters) as Filter[];

const sortable = [
  'id',
  'created_at',
  'updated_at',
  'last_login_at',
  'login_count',
  'status',
  'email_verified',
] as const;

const text = z.string().max(1_000);
/** Repeated filters all apply: a range has two ends. */
const filterText = z.union([text, z.array(text).max(10)]).optional();
const query = z.object({
  page: z.coerce.number().int().min(1).max(1_000_000_000).default(1),
  limit: z.coerce.number().int().min(1).max(500).default(15),
  created_before: z.coerce.number().int().min(0).max(253_402_300_799).optional(),
  order_by: z.string().max(200).default('created_at:DESC'),
  identifier: filterText,
  id: filterText,
  status: filterText,
  login_count: filterText,
  created_at: filterText,
  updated_at: filterText,
  last_login_at: filterText,
  email_verified: filterText,
});
type Query = z.infer<typeof query>;

const href = z.object({ href: z.string() });

export const listRoutes: Route[] = [
  route(
    {
      method: 'GET',
      path: '/users',
      summary: 'List users. Filters are `field=value` or `field=operator:value` and all apply',
      access: 'key',
      query: query as z.ZodType<Query>,
      answer: z.object({
        _links: z.object({ first: href, last: href, next: href, previous: href, self: href }),
        created_before: z.int(),
        limit: z.int(),
        page: z.int(),
        total_users: z.int(),
        users: z.array(listedUser),
      }),
      errors: [400, 401],
    },
    listUsers,
  ),
];

async function listUsers({ service, app, query }: RequestContext<Query, unknown> & { query: Query }) {
  // The current second belongs to the page, too.
  const createdBefore = query.created_before ?? Math.floor(service.clock() / 1000) + 1;
  const order = readOrder(query.order_by);
  // The plus keeps SQLite from using the index of this column and then sorting by another.
  const anchor = order[0]?.[0] === 'created_at' ? sql.ref<number>('created_at') : sql<number>`+created_at`;
  const matching = service.db
    .selectFrom('users')
    .where('app_id', '=', app.id)
    .where(anchor, '<', createdBefore * 1000)
    .where((users) =>
      users.and(
        names.flatMap((name) => [query[name] ?? []].flat().map((given) => condition(users, name, given))),
      ),
    );
  let page = matching.selectAll();
  for (const [column, direction] of order) page = page.orderBy(column, direction);
  const offset = (query.page - 1) * query.limit;
  const rows = await page
    // In the direction of the last column, so that one index serves both.
    .orderBy('id', order.at(-1)?.[1])
    .limit(query.limit)
    .offset(offset)
    .execute();
  // A page that is not full is the last one, so no count is needed.
  const isLast = rows.length < query.limit && (rows.length > 0 || query.page === 1);
  const filtered = names.some((name) => query[name] !== undefined);
  const count = isLast
    ? offset + rows.length
    : filtered
      ? await countUsers(matching)
      : await countAll(service, `${app.id} ${query.created_before ?? ''}`, matching);
  return {
    _links: links(
      `${service.options.baseUrl}/api/v1/apps/${app.id}/users`,
      { ...query, created_before: createdBefore },
      count,
    ),
    created_before: createdBefore,
    limit: query.limit,
    page: query.page,
    total_users: count,
    users: rows.map(listedUserView),
  };
}

/** How long the number of all users is cached, in milliseconds. */
const countTime = 10_000;
/** Number of users from which on the count is cached. */
const manyUsers = 10_000;

/** Most counts in the cache. */
const countLimit = 1_000;

const counts = new WeakMap<Service['db'], Map<string, { total: number; readAt: number }>>();

/**
 * Counts users without a filter. A large number may be some seconds old: counting a million users takes longer than
 * reading a page of them.
 *
 * @param name What is counted: app, and the time before which its users were made.
 */
async function countAll(
  service: Service,
  name: string,
  matching: SelectQueryBuilder<Schema, 'users', unknown>,
): Promise<number> {
  const known = counts.get(service.db) ?? new Map<string, { total: number; readAt: number }>();
  counts.set(service.db, known);
  const last = known.get(name);
  const readAt = performance.now();
  if (last && readAt - last.readAt < countTime) return last.total;
  const total = await countUsers(matching);
  if (known.size >= countLimit) known.clear();
  if (total >= manyUsers) known.set(name, { total, readAt });
  return total;
}

async function countUsers(matching: SelectQueryBuilder<Schema, 'users', unknown>): Promise<number> {
  const { total } = await matching
    .select((users) => users.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow();
  return Number(total);
}

/** Reads `operator:value`, `<operator:value>`, or a plain value, which means equality. */
function condition(users: Users, name: Filter, given: string): Expression<SqlBool> {
  const { operators, read } = filters[name];
  const bare = /^<(\w+:.*)>$/s.exec(given)?.[1] ?? given;
  const [, prefix, rest] = /^(eq|ne|gt|lt|like|not_like):(.*)$/s.exec(bare) ?? [];
  const operator = (prefix ?? 'eq') as Operator;
  if (!operators.includes(operator)) throw invalid(name, 'has an operator that is not known here');
  const value = read(rest ?? bare);
  if (value === undefined) throw invalid(name, 'is not valid');
  if (name !== 'identifier') return compare(users, name, operator, value);
  // Only a phone number begins with a plus: one column, and so one index, is enough.
  if (operator === 'eq')
    return compare(users, /^\s*\+/.test(String(value)) ? 'phone' : 'email', operator, value);
  const [email, phone] = [compare(users, 'email', operator, value), compare(users, 'phone', operator, value)];
  // Not equal means that neither address is equal, also if one is absent.
  const negative = operator === 'ne' || operator === 'not_like';
  return negative
    ? users.and([
        users.or([users('email', 'is', null), email]),
        users.or([users('phone', 'is', null), phone]),
      ])
    : users.or([email, phone]);
}

function compare(
  users: Users,
  column: Column,
  operator: Operator,
  value: string | number,
): Expression<SqlBool> {
  const reference = users.ref(column);
  if (operator === 'like' || operator === 'not_like') {
    const pattern = likePattern(String(value)).toLowerCase();
    const match = sql<SqlBool>`lower(${reference}) like ${pattern} escape '\\'`;
    return operator === 'like' ? match : users.not(match);
  }
  const sign = { eq: '=', ne: '!=', gt: '>', lt: '<' }[operator] as '=' | '!=' | '>' | '<';
  return users(column, sign, whole(operator, value) as never);
}

/** Columns hold whole milliseconds: no value lies between two of them, so the nearer bound gives the same result. */
function whole(operator: Operator, value: string | number): string | number {
  if (typeof value === 'string' || Number.isInteger(value)) return value;
  if (operator === 'gt') return Math.floor(value);
  return operator === 'lt' ? Math.ceil(value) : -1;
}

/** `%` and `*` stand for any text. A value without either is looked for anywhere. */
function likePattern(value: string): string {
  const escaped = value.replace(/[\\_]/g, '\\$&').replace(/\*/g, '%');
  return escaped.includes('%') ? escaped : `%${escaped}%`;
}

function readOrder(text: string): [(typeof sortable)[number], 'asc' | 'desc'][] {
  return text.split(',').map((part) => {
    const [, field = '', direction = ''] = /^(\w+):(asc|desc)$/i.exec(part.trim()) ?? [];
    const column = sortable.find((name) => name === field);
    if (!column) throw invalid('order_by', 'must be a list of field:ASC or field:DESC');
    return [column, direction.toLowerCase() as 'asc' | 'desc'];
  });
}

/** Host and path without a scheme, as the original service had it; empty where there is no such page. */
function links(base: string, query: Query, total: number) {
  const last = Math.max(1, Math.ceil(total / query.limit));
  const to = (page: number) => {
    if (page < 1 || page > last) return { href: '' };
    const parameters = new URLSearchParams(
      Object.entries({ ...query, page }).flatMap(([name, value]) =>
        [value ?? []].flat().map((one) => [name, String(one)]),
      ),
    );
    parameters.sort();
    return { href: `${base.replace(/^https?:\/\//, '')}?${parameters}` };
  };
  return {
    first: to(1),
    last: to(last),
    next: to(query.page + 1),
    previous: to(query.page - 1),
    self: to(query.page),
  };
}

function readInteger(value: string): number | undefined {
  const number = /^-?\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  // Larger values do not fit the column.
  return Math.abs(number) < 2 ** 31 ? number : undefined;
}

function readBoolean(value: string): number | undefined {
  return value === 'true' ? 1 : value === 'false' ? 0 : undefined;
}

/** Milliseconds since the epoch, with a fraction. */
function readTime(value: string): number | undefined {
  if (/^0001-01-01T00:00:00(\.0+)?Z$/.test(value)) return 0;
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(value);
  const seconds = Date.parse(`${parts?.[1]}Z`);
  return Number.isNaN(seconds) ? undefined : seconds + Number(`0.${parts?.[2] ?? 0}`) * 1000;
}

function invalid(field: string, rule: string): WireError {
  return new WireError('invalid_request', `${field}: ${rule}.`);
}
