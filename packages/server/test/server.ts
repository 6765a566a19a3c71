import { randomBytes } from 'node:crypto';
import type { AuthenticatorOptions } from '@passage-auth/testing';
import { AuthApi } from '../../testing/src/authapi.ts';
import { Device } from '../../testing/src/device.ts';
import { appKey, privateJwkOf } from '../../testing/src/tokens.ts';
import { outbox } from '../src/delivery/outbox.ts';
import {
  createPassageServer,
  type NewApp,
  type PassageServer,
  type PassageServerOptions,
} from '../src/index.ts';
import type { TestDatabase } from './databases.ts';

export const signingKey = privateJwkOf(await appKey());
export const secret = randomBytes(32).toString('base64');
export const baseUrl = 'https://login.example.com/passage';
export const origin = 'https://www.example.com';

/** An answer, read. */
export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect, and fail where it is not.
  body: any;
  text: string;
}

interface CallOptions {
  token?: string;
  headers?: Record<string, string>;
  /** Address of the client. */
  ip?: string;
}

export interface TestServerOptions extends Partial<PassageServerOptions> {
  app?: NewApp;
}

/** A server, its first app, and what a visitor and a back end do with it. */
export class TestServer {
  readonly server: PassageServer;
  readonly messages: ReturnType<typeof outbox>['messages'];
  readonly log: string[];
  readonly appId: string;
  readonly apiKey: string;
  readonly #api: AuthApi;
  readonly #time: { now: number };
  readonly #drop: () => Promise<void>;

  private constructor(
    server: PassageServer,
    messages: TestServer['messages'],
    log: string[],
    app: { appId: string; apiKey: string },
    time: { now: number },
    drop: () => Promise<void>,
  ) {
    this.server = server;
    this.messages = messages;
    this.log = log;
    this.appId = app.appId;
    this.apiKey = app.apiKey;
    this.#api = new AuthApi(`${baseUrl}/auth/v1/apps/${app.appId}`, (request) => server.fetch(request));
    this.#time = time;
    this.#drop = drop;
  }

  static async start(
    make: () => Promise<TestDatabase>,
    options: TestServerOptions = {},
  ): Promise<TestServer> {
    const database = await make();
    const time = { now: Date.now() };
    const clock = () => time.now;
    const log: string[] = [];
    const write = (fields: object, message: string) => void log.push(`${message} ${JSON.stringify(fields)}`);
    const delivery = outbox({ print: false, clock });
    const server = await createPassageServer({
      baseUrl,
      secret,
      database: database.location,
      delivery,
      clock,
      rateLimits: false,
      logger: { info: write, warn: write, error: write },
      ...options,
      app: { authOrigin: origin, signingKey, ...options.app },
    });
    if (!server.created) throw new Error('The database was not new');
    return new TestServer(server, delivery.messages, log, server.created, time, database.drop);
  }

  get now(): number {
    return this.#time.now;
  }

  advance(seconds: number): void {
    this.#time.now += seconds * 1000;
  }

  async call(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<Answer> {
    const headers = new Headers(options.headers);
    if (options.token !== undefined) headers.set('Authorization', `Bearer ${options.token}`);
    if (body !== undefined && !headers.has('Content-Type')) headers.set('Content-Type', 'application/json');
    const request = new Request(baseUrl + path, {
      method,
      headers,
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const response = await this.server.fetch(request, { remoteAddress: options.ip });
    const text = await response.text();
    const json = response.headers.get('Content-Type')?.includes('json');
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: json && text ? JSON.parse(text) : undefined,
    };
  }

  /** Calls the Auth API. */
  auth(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer> {
    return this.call(method, `/auth/v1/apps/${this.appId}${path}`, body, options);
  }

  /** Calls the Management API, with the app's key. */
  manage(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<Answer> {
    return this.call(method, `/api/v1/apps/${this.appId}${path}`, body, { token: this.apiKey, ...options });
  }

  /** Returns a device on a page of the app. */
  authenticator(options: Partial<AuthenticatorOptions> = {}): Device {
    return new Device(this.#api, { origin, ...options });
  }

  /** Registers a passkey and logs in with it. */
  async register(identifier: string, authenticator = this.authenticator()) {
    const { userId: id, token, refreshToken } = await authenticator.register(identifier);
    return { id, authenticator, token, refreshToken };
  }

  /** Has a code sent, and returns it. */
  async sendCode(identifier: string, action: 'register' | 'login' = 'login') {
    const { body } = await this.auth('POST', `/${action}/otp`, { identifier });
    return {
      otpId: body.otp_id as string,
      code: this.messages.findLast(({ kind }) => kind === 'otp')?.code ?? '',
    };
  }

  /** Makes a login link with the Management API, without sending it. */
  async createLink(email: string, extra: object = {}) {
    const { body } = await this.manage('POST', '/magic-links', { email, send: false, ...extra });
    return body.magic_link as { id: string; secret: string; user_id: string; url: string };
  }

  /** Makes a call of the Auth API that ends in a login. */
  session(method: 'POST' | 'PATCH', path: string, body: object) {
    return this.#api.signIn(method, path, body);
  }

  /** Logs in by a link that is not sent. */
  async signIn(email: string) {
    const link = await this.createLink(email);
    const body = { magic_link: link.secret };
    const session = await this.#api.signIn('PATCH', '/magic-link/activate', body);
    return { id: session.userId, ...session };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    await this.#drop();
  }
}
