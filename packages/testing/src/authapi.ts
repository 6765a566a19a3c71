import { decodeJwt } from './tokens.ts';

/** The session of a signed-in user, in the forms that tests need. */
export interface Session {
  readonly userId: string;
  /** Access token. */
  readonly token: string;
  /** `Authorization` with the token: for `fetch`, supertest's `set` and Fastify's `inject`. */
  readonly headers: { authorization: string };
  /** Value of a `Cookie` header, as Passage.js would have it sent. */
  readonly cookie: string;
  /** Empty when the app has refresh tokens off. */
  readonly refreshToken: string;
}

/** The server answered a login or another call of the kit with an error. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;
  /** Code in the answer, such as `user_not_active`. */
  readonly code: string;

  constructor(status: number, { code, error }: { code?: string; error?: string }) {
    super(`The Passage server answered ${status} ${code ?? ''}: ${error ?? ''}`);
    this.status = status;
    this.code = code ?? '';
  }
}

/** The Auth API of one app, called as a front end calls it. */
export class AuthApi {
  readonly #url: string;
  readonly #fetch: (request: Request) => Promise<Response>;

  constructor(url: string, fetch: (request: Request) => Promise<Response>) {
    this.#url = url;
    this.#fetch = fetch;
  }

  /**
   * Sends a call and returns the body of the answer.
   *
   * @throws {@link RefusedError} for any status that is not 2xx
   */
  async call<T>(method: 'POST' | 'PATCH', path: string, body: object, headers: HeadersInit = {}): Promise<T> {
    const request = new Request(this.#url + path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    const response = await this.#fetch(request);
    const answer = await response.json();
    if (!response.ok) throw new RefusedError(response.status, answer);
    return answer;
  }

  /** Activates a magic link, or makes another call that ends in a login, and returns the session. */
  async signIn(
    method: 'POST' | 'PATCH',
    path: string,
    body: object,
    headers?: HeadersInit,
  ): Promise<Session> {
    const answer = await this.call<{ auth_result: { auth_token: string; refresh_token?: string } }>(
      method,
      path,
      body,
      headers,
    );
    const { auth_token: token, refresh_token: refreshToken = '' } = answer.auth_result;
    return {
      userId: String(decodeJwt(token).claims.sub),
      ...formsOf(token),
      refreshToken,
    };
  }
}

/** Returns an access token in the forms that a client sends it in. */
export function formsOf(token: string): Pick<Session, 'token' | 'headers' | 'cookie'> {
  return { token, headers: { authorization: `Bearer ${token}` }, cookie: `psg_auth_token=${token}` };
}
