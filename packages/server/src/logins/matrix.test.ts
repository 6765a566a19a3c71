import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describeStored } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';

/** Every way to get in, or to stay in, in the order in which they are tried. */
const credentials = {
  passkey: 'Passkey',
  reading: 'Access token: reading',
  changing: 'Access token: changing',
  refresh: 'Refresh token',
  code: 'Code',
  link: 'Login link',
  poll: 'Status poll',
  managed: 'Link of the back end',
  login: 'Begun login',
  anybody: 'Begun login without identifier',
  adding: 'Begun adding',
  verify: 'Verify link',
} as const;

type Credential = keyof typeof credentials;
type User = Awaited<ReturnType<typeof enroll>>;
type End = (server: TestServer, user: User) => Promise<unknown>;

/** What an event voids, and the ways in which it happens. */
interface Event {
  name: string;
  voids: readonly Credential[];
  ways: Readonly<Record<string, End>>;
  /** Whether the event is one of the app, and so the same for all its users. */
  app?: boolean;
}

const pending = ['code', 'link', 'poll', 'managed', 'login', 'anybody', 'adding', 'verify'] as const;
const session = ['changing', 'refresh', 'adding', 'verify'] as const;

const manage =
  (method: string, path: string, body?: object): End =>
  (server, { id }) =>
    server.manage(method, `/users/${id}${path}`, body);

const switchOff =
  (method: 'passkeys' | 'otp' | 'magicLink'): End =>
  (server) =>
    server.server.apps.update(server.appId, { authMethods: { [method]: { enabled: false } } });

const events: readonly Event[] = [
  { name: 'Nothing', voids: [], ways: { 'at all': async () => undefined } },
  {
    name: 'Log-out, or reuse of a refresh token',
    voids: session,
    ways: {
      'log-out': (server, { refreshToken }) => server.auth('DELETE', `/tokens?refresh_token=${refreshToken}`),
      reuse: async (server, { refreshToken }) => {
        const refresh = () => server.auth('POST', '/tokens', { refresh_token: refreshToken });
        await refresh();
        server.advance(11);
        expect((await refresh()).status).toBe(401);
      },
    },
  },
  {
    name: 'All sessions ended',
    voids: ['changing', 'refresh', ...pending],
    ways: { 'by the back end': manage('DELETE', '/tokens') },
  },
  {
    name: 'User deactivated',
    voids: ['passkey', 'reading', 'changing', 'refresh', ...pending],
    ways: { 'by the back end': manage('PATCH', '/deactivate') },
  },
  {
    name: 'User activated again',
    voids: ['changing', 'refresh', ...pending],
    ways: {
      'by the back end': async (...given) => {
        await manage('PATCH', '/deactivate')(...given);
        await manage('PATCH', '/activate')(...given);
      },
    },
  },
  {
    name: 'User deleted',
    voids: ['passkey', 'reading', 'changing', 'refresh', ...pending],
    ways: { 'by the back end': manage('DELETE', '') },
  },
  {
    name: 'Passkey deleted',
    voids: ['passkey', 'login', 'anybody', ...session],
    ways: {
      'by the user': (server, { deviceId, other }) =>
        server.auth('DELETE', `/currentuser/devices/${deviceId}`, undefined, { token: other.token }),
      'by the back end': (server, user) => manage('DELETE', `/devices/${user.deviceId}`)(server, user),
    },
  },
  {
    name: 'Address changed or added',
    voids: pending,
    ways: {
      'by the user': async (server, { other }) => {
        const body = { new_email: 'new@example.com' };
        await server.auth('PATCH', '/currentuser/email', body, { token: other.token });
        await server.auth('PATCH', '/magic-link/activate', { magic_link: lastLink(server) });
      },
      'by the back end': manage('PATCH', '', { email: 'new@example.com' }),
      'by the back end, a further one': manage('PATCH', '', { phone: '+12025550199' }),
    },
  },
  {
    name: 'Passkeys switched off',
    app: true,
    voids: ['passkey', 'login', 'anybody', 'adding'],
    ways: { '': switchOff('passkeys') },
  },
  { name: 'Codes switched off', app: true, voids: ['code'], ways: { '': switchOff('otp') } },
  {
    name: 'Magic links switched off',
    app: true,
    voids: ['link', 'poll'],
    ways: { '': switchOff('magicLink') },
  },
  {
    name: 'Refresh tokens switched off',
    app: true,
    voids: ['refresh'],
    ways: { '': (server) => server.server.apps.update(server.appId, { refreshEnabled: false }) },
  },
  {
    name: 'Signing key rotated',
    app: true,
    voids: [],
    ways: { '': (server) => server.server.apps.rotateSigningKey(server.appId) },
  },
  {
    name: 'Signing key dropped after a leak',
    app: true,
    voids: ['reading', 'changing', 'adding'],
    ways: { '': (server) => server.server.apps.rotateSigningKey(server.appId, { immediately: true }) },
  },
  {
    name: 'Backup restored (`voidSecrets`)',
    app: true,
    voids: ['changing', 'refresh', ...pending],
    ways: { '': (server) => server.server.voidSecrets() },
  },
];

function lastLink(server: TestServer): string {
  const { searchParams } = new URL(server.messages.findLast(({ url }) => url)?.url ?? '');
  return searchParams.get('psg_verify_link') ?? searchParams.get('psg_magic_link') ?? '';
}

/** A user with a proven address who is logged in twice: by a link, and by a passkey. The credentials are those of the second login. */
async function enroll(server: TestServer, email: string) {
  const other = await server.signIn(email);
  const authenticator = server.authenticator();
  await authenticator.addTo(other);
  const { id } = other;
  const { devices } = (await server.manage('GET', `/users/${id}/devices`)).body;
  return {
    ...(await authenticator.signIn(email)),
    id,
    email,
    other,
    authenticator,
    deviceId: devices[0].id as string,
  };
}

/** Makes one of each credential, and returns how to use it: `true` when that succeeds. */
async function prepare(server: TestServer, user: User): Promise<Record<Credential, () => Promise<boolean>>> {
  const { email, token, refreshToken, authenticator } = user;
  const ok = async (answer: Promise<{ status: number }>) => (await answer).status < 300;
  const open = (magic_link: string) => server.auth('PATCH', '/magic-link/activate', { magic_link });
  const sendLink = async () => {
    const { body } = await server.auth('POST', '/login/magic-link', { identifier: email });
    return { id: body.magic_link.id, secret: lastLink(server) };
  };
  // biome-ignore lint/suspicious/noExplicitAny: as the answers that it takes.
  const finish = async ({ handshake: { id, challenge } }: any) => {
    const body = { handshake_id: id, handshake_response: await authenticator.get(challenge.publicKey) };
    return ok(server.auth('POST', '/login/webauthn/finish', body));
  };
  const code = await server.sendCode(email);
  const link = await sendLink();
  const polled = await sendLink();
  expect((await open(polled.secret)).status).toBe(200);
  const managed = await server.createLink(email, { ttl: 60 });
  await server.auth('PATCH', '/currentuser/phone', { new_phone: '+12025550123' }, { token });
  const verify = lastLink(server);
  const login = (await server.auth('POST', '/login/webauthn/start', { identifier: email })).body;
  const anybody = (await server.auth('POST', '/login/webauthn/start', {})).body;
  const adding = (await server.auth('POST', '/currentuser/devices/start', {}, { token })).body;
  return {
    passkey: () =>
      authenticator.signIn().then(
        () => true,
        () => false,
      ),
    reading: () => ok(server.auth('GET', '/currentuser', undefined, { token })),
    changing: () => ok(server.auth('PATCH', '/currentuser/phone', { new_phone: '+12025550177' }, { token })),
    refresh: () => ok(server.auth('POST', '/tokens', { refresh_token: refreshToken })),
    code: () => ok(server.auth('POST', '/otp/activate', { otp_id: code.otpId, otp: code.code })),
    link: () => ok(open(link.secret)),
    poll: () => ok(server.auth('POST', '/magic-link/status', { id: polled.id })),
    managed: () => ok(open(managed.secret)),
    login: () => finish(login),
    anybody: () => finish(anybody),
    adding: async () => {
      const handshake_response = await server.authenticator().create(adding.handshake.challenge.publicKey);
      const body = { user_id: user.id, handshake_id: adding.handshake.id, handshake_response };
      return ok(server.auth('POST', '/currentuser/devices/finish', body, { token }));
    },
    verify: () => ok(open(verify)),
  };
}

const names = Object.keys(credentials) as Credential[];
const cases = events.flatMap((event) =>
  Object.entries(event.ways).map(([way, end]) => [`${event.name} ${way}`.trim(), event, end] as const),
);

/** Holds a server to one row of the table. */
async function check(server: TestServer, { voids, app }: Event, end: End): Promise<void> {
  const user = await enroll(server, 'ada@example.com');
  const bystander = await enroll(server, 'bob@example.com');
  const uses = await prepare(server, user);
  const others = await prepare(server, bystander);
  server.advance(1);
  await end(server, user);
  const found: Credential[] = [];
  for (const name of names) if (!(await uses[name]())) found.push(name);
  expect(found).toEqual(names.filter((name) => voids.includes(name)));
  if (app) return;
  for (const name of ['changing', 'refresh', 'code', 'login', 'anybody'] as const)
    expect(await others[name]()).toBe(true);
}

describeStored('What ends what', (make) => {
  it.each(cases)('%s', async (_, event, end) => {
    await using server = await TestServer.start(make);
    await check(server, event, end);
  });
});

describe('What ends what, with strict enumeration', () => {
  it.each(cases)('%s', async (_, event, end) => {
    const database = { location: ':memory:', drop: async () => {} };
    await using server = await TestServer.start(async () => database, { enumeration: 'strict' });
    await check(server, event, end);
  });
});

describe('docs/security.md', () => {
  it('has the table of what ends what', () => {
    const cell = ({ voids }: Event, name: Credential) => (voids.includes(name) ? '✗' : '✓');
    const rows = [
      ['Event', ...Object.values(credentials)],
      ['---', ...names.map(() => '---')],
      ...events.slice(1).map((event) => [event.name, ...names.map((name) => cell(event, name))]),
    ];
    const table = rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
    const page = readFileSync(new URL('../../../../docs/security.md', import.meta.url), 'utf8');
    const shown = /<!-- table: endings -->\s+(.*?)\s+<!-- end -->/s.exec(page)?.[1];
    expect(shown?.replaceAll('\r\n', '\n')).toBe(table);
  });
});
