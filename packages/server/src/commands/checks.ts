import { statfs } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname } from 'node:path';
import { connect } from 'node:tls';
import { sql } from 'kysely';
import { listOldKeys } from '../apps/rotation.ts';
import { DeliveryError } from '../delivery/error.ts';
import { findFailure } from '../delivery/signed.ts';
import { answerOf } from '../events/sender.ts';
import { makeProbe, probeHeader, type Seen, seenHeader } from '../http/probe.ts';
import { type PassageServerOptions, resolveOptions } from '../options.ts';
import { issuerOf, type Service } from '../service.ts';
import { isLoopback, isPrivateHost } from '../urls.ts';
import { type Check, check, failure } from './check.ts';
import { explain } from './mail.ts';
import { webhookCure } from './webhooks.ts';

const gigabyte = 2 ** 30;
/** Timeout of each request, in milliseconds. */
const patience = 5_000;

/** Checks the version of the database, its disk and its clock. */
export async function checkDatabase(service: Service): Promise<Check[]> {
  return service.storage.kind === 'postgres' ? checkPostgres(service) : checkFile(service);
}

async function checkPostgres({ db }: Service): Promise<Check[]> {
  const start = Date.now();
  const { rows } = await sql<{ version: string; now: number }>`
    select current_setting('server_version') as version,
      floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(db);
  const end = Date.now();
  const { version = '', now = end } = rows[0] ?? {};
  // The database read its clock between these two times.
  const skew = Math.max(start - now, now - end, 0) / 1000;
  const old = Number.parseInt(version, 10) < 13;
  return [
    check(
      'database',
      old ? 'fail' : 'ok',
      `PostgreSQL ${version}`,
      old ? 'upgrade to PostgreSQL 13 or later' : undefined,
    ),
    skew > 2
      ? check(
          'clock',
          skew > 30 ? 'fail' : 'warn',
          `differs from the clock of PostgreSQL by ${skew.toFixed(1)} seconds`,
          'synchronize both clocks by NTP',
        )
      : check('clock', 'ok', 'matches the clock of PostgreSQL'),
  ];
}

async function checkFile({ db, options }: Service): Promise<Check[]> {
  const { rows } = await sql<{ version: string }>`select sqlite_version() as version`.execute(db);
  const checks = [check('database', 'ok', `SQLite ${rows[0]?.version}`)];
  const { bavail, bsize } = await statfs(dirname(options.database));
  const free = (bavail * bsize) / gigabyte;
  const text = `${free.toFixed(1)} GB free on the disk of the database`;
  const state = free < 0.1 ? 'fail' : free < 1 ? 'warn' : 'ok';
  return [
    ...checks,
    check('disk', state, text, state === 'ok' ? undefined : 'free up space, or move the database'),
  ];
}

/** Age at which signing keys should be replaced, in days. */
const oldAge = 180;

/** Checks the age of the signing keys, unless the server replaces them by itself. */
export async function checkKeyAge(service: Service): Promise<Check[]> {
  if (service.options.signingKeyRotation !== undefined) return [];
  const old = await listOldKeys(service, oldAge);
  return old.map(({ appId, age }) =>
    check(
      `signing key of ${appId}`,
      'warn',
      `is ${age} days old`,
      `set PASSAGE_SIGNING_KEY_ROTATION=90, or run passage-server keys rotate ${appId}`,
    ),
  );
}

/** Checks that the public URL leads to this server and this database: keys of every app, and the login page. */
export async function checkPublicUrl(service: Service): Promise<Check[]> {
  const { baseUrl } = service.options;
  const apps = await service.db.selectFrom('apps').select('id').orderBy('created_at').limit(20).execute();
  if (apps.length === 0) {
    return [
      check('apps', 'warn', 'there are none', 'start the server once, or run passage-server apps create'),
    ];
  }
  const reach = 'start the server, and check DNS, certificate and reverse proxy of PASSAGE_BASE_URL';
  const keys: Check[] = [];
  for (const { id } of apps) keys.push(await checkKeys(service, id, reach));
  // One failure is enough: the other requests would fail, too.
  if (keys.every(({ text }) => text.startsWith('cannot be reached'))) return keys.slice(0, 1);
  return [
    ...keys,
    await checkPage(`${baseUrl}/login?app=${apps[0]?.id}`),
    ...(await checkMetrics(baseUrl)),
    ...(await checkWay(service)),
    ...(await checkCertificate(baseUrl)),
  ];
}

async function checkKeys(service: Service, appId: string, reach: string): Promise<Check> {
  const name = `keys of ${appId}`;
  const url = `${issuerOf(service, appId)}/.well-known/jwks.json`;
  try {
    const response = await get(url);
    if (response.status !== 200) {
      return check(
        name,
        'fail',
        `${url} answers ${response.status}`,
        'PASSAGE_BASE_URL must lead to this server, with its path, and the proxy must not strip the path',
      );
    }
    const { keys } = (await response.json()) as { keys: { kid: string }[] };
    const { kid } = await service.keys.signing(appId);
    return keys.some((key) => key.kid === kid)
      ? check(name, 'ok', 'are published at the public URL')
      : check(
          name,
          'fail',
          'are not those at the public URL',
          'make PASSAGE_BASE_URL lead to a server with this database, and clear caches in front of it',
        );
  } catch (error) {
    return failure(name, error, reach);
  }
}

async function checkPage(url: string): Promise<Check> {
  try {
    const response = await get(url);
    const page = response.headers.get('content-type')?.startsWith('text/html') ?? false;
    return response.status === 200 && page
      ? check('login page', 'ok', 'is served at the public URL')
      : check(
          'login page',
          'fail',
          `answers ${response.status}`,
          'configure the proxy to forward /login to the server',
        );
  } catch (error) {
    return failure('login page', error, 'configure the proxy to forward /login to the server');
  }
}

/** Checks how requests to the public URL reach the server, and whether it sees the addresses of visitors behind the proxy. */
async function checkWay({ secrets, clock, options: { baseUrl } }: Service): Promise<Check[]> {
  const headers = { [probeHeader]: makeProbe(secrets, clock()) };
  const response = await get(`${baseUrl}/login`, headers).catch(() => undefined);
  const text = response?.headers.get(seenHeader);
  // The server is older, or a cache is in front of it.
  if (!text) return [];
  const { connection = '', client = '', trusted, forwarded, read } = JSON.parse(text) as Seen;
  const untold = 'so all its visitors share one rate limit';
  if (!trusted) {
    const direct = forwarded === 0 && (isLoopback(new URL(baseUrl).hostname) || !isPrivateHost(connection));
    if (direct) return [];
    const cure = `set PASSAGE_TRUSTED_PROXIES to ${connection}${forwarded ? '' : ', and configure the proxy to send X-Forwarded-For'}`;
    return [check('proxies', 'warn', `the proxy at ${connection} is not trusted, ${untold}`, cure)];
  }
  if (read === 0) {
    const cure = 'configure it to send X-Forwarded-For';
    return [check('proxies', 'warn', `the proxy at ${connection} sends no X-Forwarded-For, ${untold}`, cure)];
  }
  if (read < forwarded && isPrivateHost(client)) {
    const cure = `add ${client} to PASSAGE_TRUSTED_PROXIES`;
    return [check('proxies', 'warn', `a second proxy at ${client} is not trusted, ${untold}`, cure)];
  }
  return [check('proxies', 'ok', `this request came from ${client} through ${connection}`)];
}

/** Shortest remaining validity of a certificate without a warning, in days. */
const notice = 14;

/** Checks when the certificate of the public URL expires. An earlier check reports an invalid one. */
async function checkCertificate(baseUrl: string): Promise<Check[]> {
  const { protocol, hostname, port } = new URL(baseUrl);
  if (protocol !== 'https:') return [];
  const host = hostname.replace(/^\[|\]$/g, '');
  const servername = isIP(host) ? undefined : host;
  const expiry = await new Promise<number>((resolve) => {
    const socket = connect({ host, port: Number(port || 443), servername, timeout: patience }, () => {
      resolve(Date.parse(socket.getPeerCertificate().valid_to));
      socket.destroy();
    });
    socket.once('error', () => resolve(Number.NaN));
    socket.once('timeout', () => {
      resolve(Number.NaN);
      socket.destroy();
    });
  });
  if (Number.isNaN(expiry)) return [];
  const days = Math.floor((expiry - Date.now()) / 86_400_000);
  return [
    days < notice
      ? check('certificate', 'warn', `of the public URL expires in ${days} days`, 'renew it')
      : check('certificate', 'ok', `of the public URL is valid for ${days} days`),
  ];
}

async function checkMetrics(baseUrl: string): Promise<Check[]> {
  const response = await get(`${baseUrl}/metrics`).catch(() => undefined);
  if (response?.status !== 200) return [];
  return [
    check(
      'metrics',
      'warn',
      'can be read by anyone at the public URL',
      'block /metrics at the proxy, or set PASSAGE_METRICS_PORT',
    ),
  ];
}

function get(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(patience) });
}

/** Connects to the mail server or webhook without sending a message. */
export async function checkDelivery({ delivery }: PassageServerOptions): Promise<Check> {
  if (!delivery?.verify) {
    return check(
      'delivery',
      'warn',
      'is not configured, so codes and links are printed instead of sent',
      'set PASSAGE_SMTP_URL and PASSAGE_SMTP_FROM, or PASSAGE_WEBHOOK_URL and PASSAGE_WEBHOOK_SECRET',
    );
  }
  try {
    await delivery.verify();
    return check(
      'delivery',
      'ok',
      'answers; to see whether mail arrives, run passage-server mail test <address>',
    );
  } catch (error) {
    const { message } = error instanceof DeliveryError ? explain(error) : (error as Error);
    return check('delivery', 'fail', message);
  }
}

/** Checks whether the event webhook is reachable, without posting an event. */
export async function checkEventWebhook(options: PassageServerOptions): Promise<Check[]> {
  const { eventWebhook } = resolveOptions(options);
  if (!eventWebhook) return [];
  const failed = await findFailure(eventWebhook);
  if (!failed) {
    const text = 'answers; to see whether it accepts events, run passage-server webhooks test';
    return [check('event webhook', 'ok', text)];
  }
  return [check('event webhook', 'fail', `does not answer: ${answerOf(failed)}`, webhookCure)];
}
