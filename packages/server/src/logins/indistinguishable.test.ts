import { expect, it } from 'vitest';
import { describeStored, type TestDatabase } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';
import { openStorage } from '../storage/database.ts';

// `STRICT_ROUNDS=200` takes minutes, as each answer waits for a while.
const [warmUp, counted] = [5, Number(process.env.STRICT_ROUNDS ?? 40)];
const rounds = Array.from({ length: warmUp + counted }, (_, round) => round);
const kinds = ['unknown', 'pending', 'passkey', 'inactive', 'back end', 'imported'] as const;
type Kind = (typeof kinds)[number];
/** All addresses are equally long. */
const addressOf = (kind: Kind, round: number, name = 'x0') =>
  `${name}${kinds.indexOf(kind)}${String(round).padStart(4, '0')}@example.com`;

describeStored('Strict enumeration', (make) => {
  it('answers alike, and as fast, whatever an address is', { timeout: 600_000 }, async () => {
    const database = await make();
    await using server = await TestServer.start(async () => database, { enumeration: 'strict' });
    await makeUsers(server);
    const routes = [
      ['a', '/users'],
      ['b', '/register/webauthn/start'],
      ['c', '/register/otp'],
      ['d', '/register/magic-link'],
      ['x', '/login/webauthn/start'],
      ['x', '/login/otp'],
      ['x', '/login/magic-link'],
    ] as const;
    for (const [name, path] of routes) {
      // A chance of one in a hundred is still a chance: three passes have to find the same kind.
      let suspects: Kind[] = kinds.slice(1);
      for (let pass = 1; pass <= 3 && suspects.length; pass++) {
        await forgetCodes(database);
        const times = await measure(server, path, (kind, round) =>
          addressOf(kind, round, kind === 'unknown' ? `${name}${pass}` : undefined),
        );
        suspects = suspects.filter((kind) => mannWhitney(times.unknown, times[kind]) <= 0.01);
      }
      expect(suspects, path).toEqual([]);
    }
  });

  it('polls for a link of nobody as for one that was not opened', async () => {
    await using server = await TestServer.start(make, { enumeration: 'strict' });
    await server.signIn('ada@example.com');
    const answers = [];
    for (const identifier of ['ada@example.com', 'eve@example.com']) {
      const { body } = await server.auth('POST', '/login/magic-link', { identifier });
      const { status, text } = await server.auth('POST', '/magic-link/status', { id: body.magic_link.id });
      answers.push({ status, text });
    }
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]?.status).toBe(404);
  });

  it('takes metadata without saying whose it became', async () => {
    const userMetadataSchema = [{ fieldName: 'color', type: 'string', registration: true }] as const;
    await using server = await TestServer.start(make, { enumeration: 'strict', app: { userMetadataSchema } });
    await server.register('ada@example.com');
    const body = { user_metadata: { color: 'red' } };
    for (const identifier of ['ada@example.com', 'eve@example.com', 'eve@example.com']) {
      const answer = await server.auth('POST', '/users', { identifier, ...body });
      expect(answer.body.user).toMatchObject({ email: identifier, status: 'pending', user_metadata: null });
    }
  });

  it('invents passkeys that look like those of the app, and stay', async () => {
    await using server = await TestServer.start(make, { enumeration: 'strict' });
    const key = { transports: ['usb', 'nfc'] } as const;
    for (let user = 0; user < 4; user++) {
      const session = await server.register(
        `user${user}@example.com`,
        server.authenticator(user % 2 ? key : {}),
      );
      if (user < 2) await server.authenticator().addTo({ ...session, ...sessionOf(session) });
    }
    const ask = async (identifier: string): Promise<{ id: string; transports: string[] }[]> =>
      (await server.auth('POST', '/login/webauthn/start', { identifier })).body.handshake.challenge.publicKey
        .allowCredentials;
    const form = (list: { id: string; transports: string[] }[]) =>
      list.map(({ id, transports }) => `${id.length} ${transports}`).join('; ');
    const real = new Set<string>();
    for (let user = 0; user < 4; user++) real.add(form(await ask(`user${user}@example.com`)));
    expect(real.size).toBeGreaterThan(2);
    const invented = new Set<string>();
    // The IDs of users are random: one may be the model of nearly all addresses.
    for (let round = 0; round < 1000 && (round < 60 || invented.size < 2); round++) {
      const address = `nobody${round}@example.com`;
      const [first, again] = await Promise.all([ask(address), ask(address)]);
      expect(again).toEqual(first);
      invented.add(form(first));
    }
    expect(invented.size).toBeGreaterThan(1);
    expect([...real]).toEqual(expect.arrayContaining([...invented]));
  });
});

function sessionOf({ id, token }: { id: string; token: string }) {
  return { userId: id, headers: { authorization: `Bearer ${token}` }, cookie: '' };
}

async function makeUsers(server: TestServer): Promise<void> {
  await server.server.apps.importUsers(
    server.appId,
    rounds.flatMap((round) => [
      { email: addressOf('imported', round) },
      { email: addressOf('inactive', round), status: 'inactive' as const },
    ]),
  );
  for (const round of rounds) {
    await server.manage('POST', '/users', { email: addressOf('back end', round) });
    await server.auth('POST', '/users', { identifier: addressOf('pending', round) });
    await server.register(addressOf('passkey', round));
  }
}

/** A new code ends the one before, which addresses that nobody asked about do not have. */
async function forgetCodes({ location }: TestDatabase): Promise<void> {
  const storage = await openStorage(location, 'visit');
  await storage.db.deleteFrom('codes').execute();
  await storage.close();
}

/** Calls a route for all kinds of addresses in turns, so that whatever slows the machine down slows all. Their answers have one form. */
async function measure(
  server: TestServer,
  path: string,
  address: (kind: Kind, round: number) => string,
): Promise<Record<Kind, number[]>> {
  const times = Object.fromEntries(kinds.map((kind) => [kind, []])) as unknown as Record<Kind, number[]>;
  const forms = new Set<string>();
  for (const round of rounds) {
    // Nobody is always the first or the last. All at once, since each answer waits for a while.
    await Promise.all(
      kinds.map(async (_, place) => {
        const kind = kinds[(place + round) % kinds.length] ?? 'unknown';
        const identifier = address(kind, round);
        const start = performance.now();
        const { status, text } = await server.auth('POST', path, { identifier });
        if (round >= warmUp) times[kind].push(performance.now() - start);
        forms.add(`${status} ${formOf(JSON.parse(text))}`);
      }),
    );
  }
  expect([...forms], path).toHaveLength(1);
  return times;
}

/** Members and kinds of values; of texts the length. */
function formOf(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'string' ? part.length : part));
}

/** Probability that two samples differ as much by chance (two-sided, normal approximation). */
function mannWhitney(first: readonly number[], second: readonly number[]): number {
  let wins = 0;
  for (const a of first) for (const b of second) wins += a > b ? 1 : a === b ? 0.5 : 0;
  const [n, m] = [first.length, second.length];
  const z = Math.abs(wins - (n * m) / 2) / Math.sqrt((n * m * (n + m + 1)) / 12);
  // Abramowitz and Stegun 7.1.26.
  const t = 1 / (1 + (0.3275911 * z) / Math.SQRT2);
  const tail =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return tail * Math.exp((-z * z) / 2);
}
