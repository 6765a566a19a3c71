import { z } from 'zod';
import { WireError } from '../errors.ts';
import { record } from '../events/record.ts';
import type { ImportedUser } from '../options.ts';
import type { App, Service } from '../service.ts';
import type { NewUser } from '../storage/schema.ts';
import { readIdentifiers } from './identifiers.ts';
import { mergeMetadata } from './metadata.ts';
import { findUser, insertUser } from './users.ts';

const time = z.iso.datetime({ offset: true });

/** Members of a record that an import reads. It ignores other members of the Management API. */
export const userRecord = z.object({
  // May be longer than IDs of the original service. Always one segment of a path.
  id: z
    .string()
    .regex(/^[\w-]{1,64}$/)
    .optional(),
  email: z.string().optional(),
  email_verified: z.boolean().default(false),
  phone: z.string().optional(),
  phone_verified: z.boolean().default(false),
  external_id: z.string().max(256).default(''),
  status: z.enum(['active', 'inactive', 'pending']).default('active'),
  user_metadata: z.record(z.string(), z.unknown()).nullish(),
  created_at: time.optional(),
}) satisfies z.ZodType<unknown, ImportedUser>;

/**
 * Adds users with their IDs, all or none. Users whose ID exists stay unchanged, so that an import can be repeated.
 *
 * @throws TypeError that names the first invalid record, counted from 1, and why it is invalid
 * @internal
 */
export async function importUsers(
  service: Service,
  app: App,
  users: readonly ImportedUser[],
): Promise<{ imported: number; existing: number }> {
  const rows = users.map((user, index) => about(index, () => readRecord(service, app, user)));
  const imported = await service.db.transaction().execute(async (trx) => {
    let count = 0;
    for (const [index, row] of rows.entries()) {
      if (row.id !== undefined && (await findUser(trx, app.id, row.id))) continue;
      const added = await insertUser(service, trx, app, row);
      if (!added) throw problem(index, 'the email address or phone number belongs to another user');
      count += 1;
    }
    if (count > 0) {
      await record(service, trx, {
        type: 'users.imported',
        appId: app.id,
        client: service.operator,
        details: { users: count },
      });
    }
    return count;
  });
  return { imported, existing: rows.length - imported };
}

/** @throws ZodError, WireError or TypeError, which {@link faultOf} describes */
export function readRecord(service: Service, app: App, user: ImportedUser): Partial<NewUser> {
  const { id, external_id, status, ...given } = userRecord.parse(user);
  const { email = null, phone = null } = readIdentifiers(given);
  if (!email && !phone) throw new TypeError('"email" or "phone" must be set');
  const createdAt = given.created_at === undefined ? service.clock() : Date.parse(given.created_at);
  return {
    ...(id !== undefined && { id }),
    external_id,
    status,
    origin: 'import',
    email,
    email_verified: email && given.email_verified ? 1 : 0,
    phone,
    phone_verified: phone && given.phone_verified ? 1 : 0,
    metadata: mergeMetadata(app.settings, null, given.user_metadata ?? undefined, 'any'),
    created_at: createdAt,
  };
}

function about<T>(index: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw problem(index, faultOf(error));
  }
}

/** Returns what is wrong with a record. Other errors are rethrown. */
export function faultOf(error: unknown): string {
  if (error instanceof z.ZodError) {
    const [issue] = error.issues;
    return `"${issue?.path.join('.')}": ${issue?.message}`;
  }
  if (error instanceof WireError || error instanceof TypeError) return error.message;
  throw error;
}

function problem(index: number, text: string): TypeError {
  return new TypeError(`Record ${index + 1} is invalid; no users were imported: ${text}`);
}
