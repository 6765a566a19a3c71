import type { Actor, Client, Service } from '../service.ts';
import { afterCommit, type Queries } from '../storage/database.ts';
import type { EventRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { defer, prepareInsert } from '../storage/statements.ts';
import { type Details, writeEntry } from './audit.ts';
import { publishEvent } from './channels.ts';
import { maskAddress } from './mask.ts';
import { enqueue } from './queue.ts';
import { type EventName, typeOf } from './types.ts';

/** Something that happened. */
export interface Happening {
  type: EventName;
  /** Absent for events of the whole server. */
  appId?: string | undefined;
  userId?: string | undefined;
  /** Who caused it. */
  client: Client;
  /** Further details, such as IDs and names. Never a secret or an address. */
  details?: Details;
  /** Addresses concerned. The audit log masks them, and the log omits them. */
  addresses?: readonly (string | null | undefined)[];
  /** What the user did, for `recent_events`. Default is `other`. */
  action?: EventRow['action'];
  /** Fields of the user that changed, if the type does not define them. */
  fields?: readonly string[];
}

/**
 * Records an event in the transaction that causes it: for the user, in the audit log if it is a change, and for the event
 * webhook if one is configured. After the commit, the event is logged and counted.
 *
 * @returns ID of the entry in the audit log, if there is one.
 */
export async function record(
  service: Service,
  trx: Queries,
  happening: Happening,
): Promise<string | undefined> {
  const { type, appId, userId, client, details, addresses = [] } = happening;
  const { recent, audit } = typeOf(type);
  afterCommit(trx, () => report(service, happening));
  if (recent && appId && userId) await writeRecent(service, trx, appId, userId, happening);
  if (service.options.eventWebhook && appId && userId) await queue(service, trx, appId, userId, happening);
  if (!audit) return undefined;
  const masked = addresses.flatMap((address) => (address ? [maskAddress(address)] : []));
  return writeEntry(trx, service.clock(), {
    type,
    appId,
    userId,
    actor: actorOf(happening),
    client,
    details: { ...details, ...(masked.length && { addresses: masked }) },
  });
}

/** Logs and counts an event that is not stored. For stored ones, `record` does both. */
export function report(service: Service, happening: Happening): void {
  const { type, appId: app, userId: user, client, details } = happening;
  const { suspect, text } = typeOf(type);
  const { kind, id } = actorOf(happening);
  const actor = kind !== 'user' && { actor: id ? `${kind}:${id}` : kind };
  const fields = { app, ...(user && { user }), ...details, event: type, ip: client.ip, ...actor };
  service.metrics.events.inc({ type });
  publishEvent({ appId: app, type });
  if (suspect) service.options.logger.warn(fields, text);
  else service.options.logger.info(fields, 'Event');
}

function actorOf({ client, userId }: Happening): Actor {
  return client.actor ?? { kind: 'user', id: userId };
}

async function writeRecent(
  service: Service,
  trx: Queries,
  appId: string,
  userId: string,
  { type, client, action = 'other' }: Happening,
): Promise<void> {
  const row = {
    id: randomText(),
    app_id: appId,
    user_id: userId,
    type,
    action,
    ip_addr: client.ip ?? '',
    user_agent: client.userAgent.slice(0, 500),
    created_at: service.clock(),
  };
  await defer(trx, insertEvent(row));
}

const insertEvent = prepareInsert('events', [
  'id',
  'app_id',
  'user_id',
  'type',
  'action',
  'ip_addr',
  'user_agent',
  'created_at',
]);

async function queue(
  service: Service,
  trx: Queries,
  appId: string,
  userId: string,
  { type, details, action = 'other', fields = typeOf(type).fields }: Happening,
): Promise<void> {
  const { webhook } = typeOf(type);
  // A link that proves an address is not a login.
  if (!webhook || (webhook === 'user.login' && action === 'other')) return;
  const data = { passkey_id: details?.passkey, session_id: details?.session, fields };
  await enqueue(service, trx, { appId, userId, type: webhook, data });
  afterCommit(trx, service.wake);
}
