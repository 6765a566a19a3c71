import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Passage, type PassageOptions } from './index.ts';

/** A key pair with the JWK that an issuer publishes of it. */
export interface IssuerKey {
  privateKey: CryptoKey;
  jwk: Record<string, unknown>;
}

export async function createKey(kid: string, modulusLength = 2048): Promise<IssuerKey> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const { privateKey, publicKey } = await crypto.subtle.generateKey(
    { ...algorithm, modulusLength, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ['sign', 'verify'],
  );
  const { kty, n, e } = await crypto.subtle.exportKey('jwk', publicKey);
  return { privateKey, jwk: { kty, n, e, kid, alg: 'RS256', use: 'sig' } };
}

/** Keys are made once: a test that needs a second one takes `otherKey`. */
export const key = await createKey('key1');
export const otherKey = await createKey('key2');

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
}

export function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** Signs any text as header and payload, which a JWT library refuses to do. */
export async function signText(header: string, payload: string, { privateKey } = key): Promise<string> {
  const input = `${encode(header)}.${encode(payload)}`;
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', privateKey, Buffer.from(input));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

/**
 * A real HTTP server that answers what a test tells it to: key sets and API answers that a healthy server never gives.
 * Its clock stands still until a test moves it.
 */
export class Issuer {
  readonly requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] =
    [];
  /** What the issuer answers. */
  answer: Answer = json({ keys: [key.jwk] });
  now = Date.UTC(2026, 0, 1);
  readonly #server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    this.requests.push({
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body,
    });
    this.answer(request, response);
  });

  static async start(): Promise<Issuer> {
    const issuer = new Issuer();
    issuer.#server.listen(0, '127.0.0.1');
    await once(issuer.#server, 'listening');
    return issuer;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get options(): PassageOptions {
    return {
      appId: 'app1',
      apiKey: 'key.secret',
      baseUrl: this.baseUrl,
      loadUser: false,
      clock: () => this.now,
    };
  }

  passage(options: PassageOptions = {}): Passage {
    return new Passage({ ...this.options, ...options });
  }

  claims(): Record<string, unknown> {
    const seconds = this.now / 1000;
    return {
      sub: 'user1',
      iss: `${this.baseUrl}/auth/v1/apps/app1`,
      aud: ['app1', 'http://localhost'],
      iat: seconds,
      nbf: seconds - 5,
      exp: seconds + 900,
    };
  }

  /** Signs a good token with what the test changes of it; `undefined` leaves a member out. */
  sign(
    claims: Record<string, unknown> = {},
    header: Record<string, unknown> = {},
    signer = key,
  ): Promise<string> {
    const members = { alg: 'RS256', typ: 'JWT', kid: signer.jwk.kid, ...header };
    return signText(JSON.stringify(members), JSON.stringify({ ...this.claims(), ...claims }), signer);
  }

  /** Moves the clock, in seconds. */
  advance(seconds: number): void {
    this.now += seconds * 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
