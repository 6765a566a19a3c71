import { isPathSegment } from './arguments.ts';
import { ApiError } from './errors.ts';
import type { PassageUserSummary, UserStatus } from './models.ts';
import { fromWire, snakeCase } from './wire.ts';

/** Conditions on a text field; all of them must hold. `like` patterns are the server's own. */
export interface TextConditions<T extends string = string> {
  eq?: T | undefined;
  ne?: T | undefined;
  gt?: T | undefined;
  lt?: T | undefined;
  like?: string | undefined;
  notLike?: string | undefined;
}

/** Conditions on a number or date field; all of them must hold. */
export interface RangeConditions<T extends number | Date> {
  eq?: T | undefined;
  ne?: T | undefined;
  gt?: T | undefined;
  lt?: T | undefined;
}

/** Fields that a list of users can be ordered by. */
export type UserOrderField = 'id' | 'loginCount' | 'status' | 'createdAt' | 'updatedAt' | 'lastLoginAt';

/**
 * Which users to list. A plain value means equality; all conditions must hold.
 *
 * @see docs/protocol.md §6.3
 */
export interface ListUsersQuery {
  /** Email address or phone number. */
  identifier?: string | TextConditions | undefined;
  id?: string | TextConditions | undefined;
  status?: UserStatus | TextConditions<UserStatus> | undefined;
  loginCount?: number | RangeConditions<number> | undefined;
  emailVerified?: boolean | undefined;
  createdAt?: Date | RangeConditions<Date> | undefined;
  updatedAt?: Date | RangeConditions<Date> | undefined;
  lastLoginAt?: Date | RangeConditions<Date> | undefined;
  /** Order, the first key first, for example `{ createdAt: 'desc' }`. Default is the server's. */
  orderBy?: { readonly [Field in UserOrderField]?: 'asc' | 'desc' } | undefined;
  /** Users on a page, at most 500. Default is the server's. */
  limit?: number | undefined;
  /** First page, from 1. Default is 1. */
  page?: number | undefined;
  /** Omits users created later, so that they do not shift the pages. Default is the time of the first page. */
  createdBefore?: Date | undefined;
}

/** One page of a list of users. */
export interface UserPage {
  users: PassageUserSummary[];
  /** Number of users on all pages. */
  total: number;
  page: number;
  limit: number;
  createdBefore: Date;
  /** The query of the next page; `undefined` on the last one. */
  next: ListUsersQuery | undefined;
}

/** Iterates over users, page by page. After a failure, the next call tries the failed page again. */
export class UserIterator implements AsyncIterableIterator<PassageUserSummary> {
  readonly #read: (query: ListUsersQuery) => Promise<UserPage>;
  #query: ListUsersQuery | undefined;
  #users: Iterator<PassageUserSummary> = [].values();

  /** @internal */
  constructor(query: ListUsersQuery, read: (query: ListUsersQuery) => Promise<UserPage>) {
    this.#query = query;
    this.#read = read;
  }

  async next(): Promise<IteratorResult<PassageUserSummary, undefined>> {
    for (;;) {
      const user = this.#users.next();
      if (!user.done) return user;
      if (!this.#query) return { done: true, value: undefined };
      const page = await this.#read(this.#query);
      this.#users = page.users.values();
      this.#query = page.next;
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const fields = [
  'identifier',
  'id',
  'status',
  'loginCount',
  'emailVerified',
  'createdAt',
  'updatedAt',
  'lastLoginAt',
] as const;

const operators = ['eq', 'ne', 'gt', 'lt', 'like', 'notLike'];

/**
 * Writes a query in the wire format.
 *
 * @throws TypeError that names the invalid part
 * @internal
 */
export function toQuery(query: ListUsersQuery): Record<string, string | string[]> {
  const wire: Record<string, string | string[]> = {};
  for (const field of fields) {
    if (query[field] !== undefined) wire[snakeCase(field)] = toConditions(field, query[field]);
  }
  if (query.orderBy) wire.order_by = toOrder(query.orderBy);
  if (query.limit !== undefined) wire.limit = toCount('limit', query.limit, 500);
  if (query.page !== undefined) wire.page = toCount('page', query.page, Number.MAX_SAFE_INTEGER);
  if (query.createdBefore) wire.created_before = String(Math.floor(query.createdBefore.getTime() / 1000));
  return wire;
}

/** Reads a page and derives the query of the next one. @internal */
export function readPage(answer: object, query: ListUsersQuery): UserPage {
  const { users, total_users, page, limit, created_before } = answer as Record<string, unknown>;
  const numbers = [total_users, page, limit, created_before];
  if (!Array.isArray(users) || !users.every(hasId) || !numbers.every(Number.isInteger)) {
    throw new ApiError(200);
  }
  const at = { page: page as number, limit: limit as number };
  const createdBefore = new Date((created_before as number) * 1000);
  const last = users.length === 0 || at.page * at.limit >= (total_users as number);
  return {
    users: fromWire(users) as PassageUserSummary[],
    total: total_users as number,
    ...at,
    createdBefore,
    next: last ? undefined : { ...query, limit: at.limit, page: at.page + 1, createdBefore },
  };
}

function hasId(user: unknown): boolean {
  return isPathSegment((user as { id?: unknown } | null)?.id);
}

type Value = string | number | boolean | Date;

function toConditions(field: string, filter: Value | object): string[] {
  if (typeof filter !== 'object' || filter instanceof Date) return [toCondition(field, 'eq', filter)];
  return Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .map(([operator, value]) => toCondition(field, operator, value));
}

function toCondition(field: string, operator: string, value: unknown): string {
  if (!operators.includes(operator)) {
    throw new TypeError(`"${field}" has an unknown operator: use one of ${operators.join(', ')}`);
  }
  const text = toText(field, value);
  // Equality has no operator on the wire, so a value must not look like one.
  if (operator === 'eq' && /^<?(?:ne|gt|lt|like|not_like|eq):/.test(text)) {
    throw new TypeError(`"${field}" must not begin with an operator: use an object, such as { like: … }`);
  }
  return operator === 'eq' ? text : `${snakeCase(operator)}:${text}`;
}

function toText(field: string, value: unknown): string {
  if (value instanceof Date && !Number.isNaN(value.getTime())) {
    // Microseconds, as the protocol has it.
    return value.toISOString().replace('Z', '000Z');
  }
  if (!['string', 'number', 'boolean'].includes(typeof value)) {
    throw new TypeError(`"${field}" must be a string, number, boolean or valid date, or conditions on one`);
  }
  return String(value);
}

function toOrder(orderBy: object): string {
  return Object.entries(orderBy)
    .map(([field, direction]) => {
      if (!(fields as readonly string[]).includes(field) || !['asc', 'desc'].includes(direction)) {
        throw new TypeError('"orderBy" must name fields of a user, each with "asc" or "desc"');
      }
      return `${snakeCase(field)}:${direction.toUpperCase()}`;
    })
    .join(',');
}

function toCount(name: string, value: number, maximum: number): string {
  if (!Number.isInteger(value) || value < 1 || value > maximum) {
    throw new TypeError(`"${name}" must be a whole number from 1 to ${maximum}`);
  }
  return String(value);
}
