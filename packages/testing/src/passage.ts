import { randomUUID } from 'node:crypto';
import { type CreateUserArgs, Passage, type PassageOptions, type PassageUser } from '@passage-auth/core';
import type { OutboxMessage, PassageServer } from '@passage-auth/server';
import { AuthApi, formsOf, type Session } from './authapi.ts';
import type { AuthenticatorOptions } from './authenticator.ts';
import { type Clock, type Duration, millisecondsOf } from './clock.ts';
import { Device } from './device.ts';
import { type BadToken, createGallery } from './gallery.ts';
import type { SigningKey } from './keycache.ts';
import type { Listener } from './listener.ts';
import { type Changes, decodeJwt, foreignKey, privateJwkOf, signJwt } from './tokens.ts';
import type { Fault, FaultKind, Target, Traffic } from './traffic.ts';

/** @internal */
export interface TestPassageParts {
  server: PassageServer;
  app: AppAccess;
  key: SigningKey;
  baseUrl: string;
  authOrigin: string;
  clock: Clock;
  traffic: Traffic;
  outbox: readonly OutboxMessage[];
  listener: Listener | undefined;
}

/** Credentials of an app. */
export interface AppAccess {
  appId: string;
  apiKey: string;
}

type Given = 'appId' | 'apiKey' | 'baseUrl' | 'fetch' | 'clock';

/** A Passage server for one test, made by `startPassage`. */
export class TestPassage implements AsyncDisposable {
  /** Options for `passageAuth`, the Fastify plugin, `PassageModule` and `new Passage`. They need no socket. */
  readonly options: PassageOptions & { [Name in Given]: NonNullable<PassageOptions[Name]> };
  /** Environment for an app in another process. Only of use with a port. */
  readonly env: Readonly<Record<'PASSAGE_APP_ID' | 'PASSAGE_API_KEY' | 'PASSAGE_BASE_URL', string>>;
  /** A client of its own, to read and change users. Faults do not affect it. */
  readonly admin: Passage;
  /** Codes and links that were sent, oldest first. */
  readonly outbox: readonly OutboxMessage[];
  /** How often the app under test has asked for keys, and called the Management API. */
  readonly requests: Readonly<Record<Target, number>>;
  readonly #parts: TestPassageParts;
  readonly #auth: AuthApi;

  /** @internal */
  constructor(parts: TestPassageParts) {
    const { app, baseUrl, clock, traffic } = parts;
    this.#parts = parts;
    this.options = {
      ...app,
      baseUrl,
      issuer: issuerOf(baseUrl, app.appId),
      fetch: (input, init) => this.#send(new Request(input, init)),
      clock: clock.now,
    };
    this.env = { PASSAGE_APP_ID: app.appId, PASSAGE_API_KEY: app.apiKey, PASSAGE_BASE_URL: baseUrl };
    this.admin = this.#client(app);
    this.outbox = parts.outbox;
    this.requests = traffic.requests;
    this.#auth = this.#authApi(app.appId);
  }

  /** Creates a user through the Management API, with an address of its own unless one is given. */
  createUser(user: CreateUserArgs = { email: `${randomUUID()}@example.com` }): Promise<PassageUser> {
    return this.admin.user.create(user);
  }

  /**
   * Signs a user in with a magic link.
   *
   * @param user The user, or an email address or phone number, whose user is created if there is none.
   * @param options `age`: how long ago the login was, by the `auth_time` of the access token, for what asks for a recent login. A
   * refresh gives a token with the real time.
   * @throws {@link RefusedError} when the server refuses, for example with `user_not_active`
   * @throws TypeError when `age` is no duration
   */
  async signIn(user: PassageUser | string, { age = '0s' }: { age?: Duration } = {}): Promise<Session> {
    const seconds = Math.floor(millisecondsOf(age, 'age') / 1000);
    const session = await signInWithLink(this.admin, this.#auth, user);
    if (seconds === 0) return session;
    const { header, claims } = decodeJwt(session.token);
    const auth_time = Number(claims.auth_time) - seconds;
    const token = signJwt(header, { ...claims, auth_time }, this.#parts.key.privateKey);
    return { ...session, ...formsOf(token) };
  }

  /** Returns a device with an authenticator on a page of the app. Each call makes another one. */
  authenticator(options: Partial<AuthenticatorOptions> = {}): Device {
    return new Device(this.#auth, { origin: this.#parts.authOrigin, ...options });
  }

  /**
   * Returns bad tokens of every kind, each with the answer it must get, to be sent to each protected route.
   *
   * @param session Whose token they are made from. Default is a new user's.
   */
  async badTokens(session?: Session): Promise<BadToken[]> {
    const { token } = session ?? (await this.signIn(await this.createUser()));
    return createGallery({
      token,
      otherAppToken: await this.#otherAppToken(),
      key: this.#parts.key,
      now: Math.floor(this.#parts.clock.now() / 1000),
    });
  }

  /**
   * Signs a token with the key of the app. Not checked: anything, so that it can be wrong in any way.
   *
   * @param claims Claims that differ from those of a good token, or `undefined` for one to leave out. The valid token
   * belongs to no existing user: pass `sub` if users are loaded.
   * @param header Header members that differ, likewise.
   */
  signToken(claims: Changes = {}, header: Changes = {}): string {
    const { app, authOrigin, baseUrl, clock, key } = this.#parts;
    const now = Math.floor(clock.now() / 1000);
    const good = {
      iss: issuerOf(baseUrl, app.appId),
      aud: [app.appId, authOrigin],
      sub: 'nobody',
      iat: now,
      nbf: now,
      exp: now + 900,
      jti: randomUUID(),
      sid: randomUUID(),
      auth_time: now,
    };
    return signJwt(
      { alg: 'RS256', typ: 'JWT', kid: key.kid, ...header },
      { ...good, ...claims },
      key.privateKey,
    );
  }

  /** Moves the clock of the server, and of verifiers made with `options`, forward. Timers do not fire. */
  advance(duration: Duration): void {
    this.#parts.clock.advance(duration);
  }

  /**
   * Causes a fault for the app under test, until the fault ends. A target has one fault at a time.
   *
   * @example
   * ```ts
   * using outage = passage.fault('jwks', 'unreachable');
   * ```
   */
  fault(target: Target, kind: FaultKind): Fault {
    return this.#parts.traffic.begin(target, kind);
  }

  /**
   * Publishes a new signing key.
   *
   * @param options `immediately`: the old key is withdrawn and its tokens are void, as after a leak. Otherwise
   * the new one signs from ten minutes later on, and the old one goes when its tokens have expired.
   */
  async rotateKeys({ immediately = false } = {}): Promise<void> {
    const { server, app } = this.#parts;
    await server.apps.rotateSigningKey(app.appId, { immediately });
  }

  /** Stops the server. `await using` calls it. */
  async close(): Promise<void> {
    const { traffic, listener, server } = this.#parts;
    traffic.close();
    await listener?.close();
    await server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The `fetch` of the app under test. */
  async #send(request: Request): Promise<Response> {
    const { baseUrl, server, traffic } = this.#parts;
    if (!request.url.startsWith(`${baseUrl}/`)) {
      throw new TypeError(`The test server is at ${baseUrl} and was not asked: ${request.url}`);
    }
    const answer = await traffic.pass(new URL(request.url).pathname, request.signal);
    request.signal.throwIfAborted();
    return answer ?? server.fetch(request);
  }

  async #otherAppToken(): Promise<string> {
    const signingKey = privateJwkOf(await foreignKey());
    const app = await this.#parts.server.apps.create({ name: 'Another app', signingKey });
    const { token } = await signInWithLink(
      this.#client(app),
      this.#authApi(app.appId),
      `${randomUUID()}@example.com`,
    );
    return token;
  }

  #client(app: AppAccess): Passage {
    const { baseUrl, clock, server } = this.#parts;
    return new Passage({
      ...app,
      baseUrl,
      fetch: (input, init) => server.fetch(new Request(input, init)),
      clock: clock.now,
    });
  }

  #authApi(appId: string): AuthApi {
    const { baseUrl, server } = this.#parts;
    return new AuthApi(issuerOf(baseUrl, appId), (request) => server.fetch(request));
  }
}

async function signInWithLink(client: Passage, auth: AuthApi, user: PassageUser | string): Promise<Session> {
  const link = await client.auth.createMagicLink(recipient(user));
  return auth.signIn('PATCH', '/magic-link/activate', { magic_link: link.secret });
}

function recipient(user: PassageUser | string) {
  if (typeof user !== 'string') return { userId: user.id, channel: user.email ? 'email' : 'phone' };
  return user.includes('@') ? { email: user } : { phone: user };
}

/** The issuer of an app's tokens is the URL of its Auth API. */
function issuerOf(baseUrl: string, appId: string): string {
  return `${baseUrl}/auth/v1/apps/${appId}`;
}
