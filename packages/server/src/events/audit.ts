import type { Actor, Client } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { AuditRow } from '../storage/schema.ts';
import { orderedText } from '../storage/secrets.ts';
import type { EventName } from './types.ts';

/** Details of an entry: IDs, names and counts. */
export type Details = Readonly<Record<string, unknown>>;

interface NewEntry {
  type: EventName;
  appId?: string | undefined;
  userId?: string | undefined;
  actor: Actor;
  client: Client;
  details: Details;
}

/** An entry of the audit log. */
export interface Entry {
  id: string;
  createdAt: Date;
  type: string;
  appId: string | null;
  userId: string | null;
  actor: { kind: Actor['kind']; id: string | null };
  ip: string | null;
  userAgent: string | null;
  details: Details;
}

/** Which entries to list. Omitted conditions match everything. */
export interface EntryFilter {
  appId?: string | undefined;
  userIds?: readonly string[] | undefined;
  types?: readonly string[] | undefined;
  actor?: { kind: Actor['kind']; id?: string | undefined } | undefined;
  /** Start, inclusive. */
  since?: number | undefined;
  /** End, exclusive. */
  until?: number | undefined;
  limit: number;
}

/** @returns ID of the entry. */
export async function writeEntry(
  queries: Queries,
  now: number,
  { type, appId, userId, actor, client, details }: NewEntry,
): Promise<string> {
  const id = orderedText(now);
  await queries
    .insertInto('audit')
    .values({
      id,
      app_id: appId ?? null,
      user_id: userId ?? null,
      type,
      actor: actor.kind,
      actor_id: actor.id ?? null,
      ip: client.ip ?? null,
      user_agent: client.userAgent.slice(0, 500) || null,
      details: JSON.stringify(details),
      created_at: now,
    })
    .execute();
  return id;
}

/** Updates the entry of work that is still in progress. */
export async function rewriteEntry(queries: Queries, id: string, details: Details): Promise<void> {
  await queries
    .updateTable('audit')
    .set({ details: JSON.stringify(details) })
    .where('id', '=', id)
    .execute();
}

/** Lists entries, newest first. */
export async function listEntries(
  queries: Queries,
  { appId, userIds, types, actor, since, until, limit }: EntryFilter,
): Promise<Entry[]> {
  let query = queries.selectFrom('audit').selectAll();
  if (appId !== undefined) query = query.where('app_id', '=', appId);
  if (userIds) query = query.where('user_id', 'in', userIds);
  if (types) query = query.where('type', 'in', types);
  if (actor) query = query.where('actor', '=', actor.kind);
  if (actor?.id !== undefined) query = query.where('actor_id', '=', actor.id);
  if (since !== undefined) query = query.where('created_at', '>=', since);
  if (until !== undefined) query = query.where('created_at', '<', until);
  const rows = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
  return rows.map(readEntry);
}

function readEntry(row: AuditRow): Entry {
  return {
    id: row.id,
    createdAt: new Date(row.created_at),
    type: row.type,
    appId: row.app_id,
    userId: row.user_id,
    actor: { kind: row.actor, id: row.actor_id },
    ip: row.ip,
    userAgent: row.user_agent,
    details: JSON.parse(row.details),
  };
}
