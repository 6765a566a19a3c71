/**
 * How many codes and links may be sent.
 *
 * @module
 */
import { WireError } from '../errors.ts';
import { hasLoggedInFrom } from '../events/recent.ts';
import { checkLimit, countUp, isTaken, takeOnce, tally } from '../limits/limits.ts';
import type { App, Client, Service } from '../service.ts';
import type { Identifier } from '../users/identifiers.ts';
import { findUserByIdentifier } from '../users/users.ts';

/** Counts what is asked for, whether there is anybody to send it to or not. @throws {@link WireError} `too_many_requests` */
export async function countMessage(
  service: Service,
  app: App,
  to: Identifier,
  client: Client,
): Promise<void> {
  await countUp(service, 'messagesPerIp', app.id, client.ip);
  await checkLimit(service, 'messagesPerApp', app.id, sent);
  await countUp(service, 'messagesPerAddress', app.id, to.value, client);
}

/**
 * Like `countMessage`, for a code or link that logs in. Once the address has used up its own, an IP address that its user has logged in from
 * gets one more, so that strangers cannot lock the user out.
 *
 * @returns False when the request is to be answered as if the address were unknown: strictly, everybody gets the one more answer, and
 * only whom it is for the message.
 * @throws {@link WireError} `too_many_requests`
 */
export async function countLoginMessage(
  service: Service,
  app: App,
  to: Identifier,
  client: Client,
): Promise<boolean> {
  try {
    await countMessage(service, app, to, client);
    return true;
  } catch (refusal) {
    if (!(refusal instanceof WireError) || client.ip === undefined) throw refusal;
    // The limits by IP and by app spare nobody.
    await checkLimit(service, 'messagesPerIp', app.id, client.ip);
    await checkLimit(service, 'messagesPerApp', app.id, sent);
    const user = await findUserByIdentifier(service.db, app.id, to);
    const known = await hasLoggedInFrom(service.db, app.id, user?.id ?? '', client.ip);
    if (!known && !service.options.strict) throw refusal;
    if (!(await takeOnce(service, 'messagesPerAddress', app.id, spareOf(to.value, client.ip)))) throw refusal;
    return known;
  }
}

/** Whether the one more message was asked for from this IP address: its code may be tried although the address has used up its tries. */
export async function isSpared(service: Service, app: App, address: string, ip?: string): Promise<boolean> {
  return ip !== undefined && isTaken(service, 'messagesPerAddress', app.id, spareOf(address, ip));
}

/**
 * Counts a message for the app when one is sent. An unknown address uses nothing up, but does the same work.
 *
 * @throws {@link WireError} `too_many_requests`
 */
export async function countSent(service: Service, app: App, client: Client, known: boolean): Promise<void> {
  if (known) await countUp(service, 'messagesPerApp', app.id, sent, client);
  else await tally(service, 'messagesPerApp', app.id, 'not sent');
}

const sent = '';

function spareOf(address: string, ip: string): string {
  return `${address} ${ip}`;
}
