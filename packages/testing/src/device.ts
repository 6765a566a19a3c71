import type { AuthApi, Session } from './authapi.ts';
import { type AuthenticatorOptions, VirtualAuthenticator } from './authenticator.ts';
import type { AssertionChanges, CreationChanges, CreationOptions, RequestOptions } from './ceremony.ts';

interface Started<Options> {
  handshake: { id: string; challenge: { publicKey: Options } };
  user: { id: string } | null;
}

/** A virtual authenticator on a page of the app: runs whole ceremonies through the Auth API. */
export class Device extends VirtualAuthenticator {
  readonly #api: AuthApi;

  /** @internal */
  constructor(api: AuthApi, options: AuthenticatorOptions) {
    super(options);
    this.#api = api;
  }

  /**
   * Registers a new user with a passkey.
   *
   * @param identifier Email address or phone number.
   * @throws {@link RefusedError} when the server refuses, DOMException when the authenticator does
   */
  async register(identifier: string, changes?: CreationChanges): Promise<Session> {
    const answer = await this.#create('/register/webauthn', { identifier }, {}, changes);
    return this.#api.signIn('POST', '/register/webauthn/finish', answer, this.#page());
  }

  /**
   * Adds a passkey to the account of a signed-in user.
   *
   * @throws {@link RefusedError} when the server refuses, DOMException when the authenticator does
   */
  async addTo(session: Session, changes?: CreationChanges): Promise<void> {
    const answer = await this.#create('/currentuser/devices', {}, session.headers, changes);
    await this.#api.call('POST', '/currentuser/devices/finish', answer, this.#page(session.headers));
  }

  /**
   * Signs in with a passkey.
   *
   * @param identifier Email address or phone number. If omitted, the authenticator finds the account.
   * @throws {@link RefusedError} when the server refuses, DOMException when the authenticator does
   */
  async signIn(identifier?: string, changes?: AssertionChanges): Promise<Session> {
    const start = '/login/webauthn/start';
    const { handshake, user } = await this.#api.call<Started<RequestOptions>>(
      'POST',
      start,
      identifier === undefined ? {} : { identifier },
      this.#page(),
    );
    const answer = {
      handshake_id: handshake.id,
      handshake_response: await this.get(handshake.challenge.publicKey, changes),
      ...(user && { user_id: user.id }),
    };
    return this.#api.signIn('POST', '/login/webauthn/finish', answer, this.#page());
  }

  async #create(
    path: string,
    body: object,
    headers: HeadersInit,
    changes?: CreationChanges,
  ): Promise<object> {
    const { handshake, user } = await this.#api.call<Started<CreationOptions>>(
      'POST',
      `${path}/start`,
      { ...body, authenticator_attachment: this.attachment },
      this.#page(headers),
    );
    return {
      handshake_id: handshake.id,
      handshake_response: await this.create(handshake.challenge.publicKey, changes),
      user_id: user?.id,
    };
  }

  #page(headers: HeadersInit = {}): HeadersInit {
    return { origin: this.origin, ...headers };
  }
}
