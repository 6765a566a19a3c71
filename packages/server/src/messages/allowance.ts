/**
 * Limits of sent codes and links.
 *
 * @module
 */
import { WireError } from '../errors.ts';
import { hasLoggedInFrom } from '../events/recent.ts';
import { checkLimit, countUp, isTaken, takeOnce, tally } from '../limits/limits.ts';
import type { App, Client, Service } from '../service.ts';
import type { Identifier } from '../users/identifiers.ts';
import { findUserByIdentifier } from '../users/users.ts';

/** Counts a request for a code or link, whether or not it is sent. @throws {@link WireError} `too_many_requests` */
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
 * Like `countMessage`, for a code or link that logs in. Once the limit of the address is used up, an IP address from
 * which its user has logged in gets one more message, so that strangers cannot lock the user out.
 *
 * @returns False if the request must be answered as if the address were unknown. With strict enumeration, everybody
 * gets one more answer, but only the user gets the message.
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
    // The limits by IP and by app have no exception.
    await checkLimit(service, 'messagesPerIp', app.id, client.ip);
    await checkLimit(service, 'messagesPerApp', app.id, sent);
    const user = await findUserByIdentifier(service.db, app.id, to);
    const known = await hasLoggedInFrom(service.db, app.id, user?.id ?? '', client.ip);
    if (!known && !service.options.strict) throw refusal;
    if (!(await takeOnce(service, 'messagesPerAddress', app.id, spareOf(to.value, client.ip)))) throw refusal;
    return known;
  }
}

/** Whether this IP address asked for the extra message. Its code may be tried although the address has used up its tries. */
export async function isSpared(service: Service, app: App, address: string, ip?: string): Promise<boolean> {
  return ip !== undefined && isTaken(service, 'messagesPerAddress', app.id, spareOf(address, ip));
}

/**
 * Counts a sent message for the app. An unknown address uses up no limit, but does the same work.
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
