import type { ApiCall, CallApi, CallOptions } from './api.ts';
import { requireSegment, requireText } from './arguments.ts';
import { ApiError } from './errors.ts';
import { type ListUsersQuery, readPage, toQuery, UserIterator, type UserPage } from './list.ts';
import type { PassageUser, UserMetadata, WebAuthnDevice } from './models.ts';
import { fromWire, readUser } from './wire.ts';

/** A new user: at least one of `email` and `phone`. */
export interface CreateUserArgs {
  email?: string | undefined;
  /** E.164, for example `+15005550006`. */
  phone?: string | undefined;
  /** Keys must exist in the app's metadata schema. */
  userMetadata?: UserMetadata | undefined;
}

/** What to change of a user; omitted fields stay. */
export interface UpdateUserArgs {
  email?: string | undefined;
  /** E.164, for example `+15005550006`. */
  phone?: string | undefined;
  userMetadata?: UserMetadata | undefined;
}

/**
 * Users of the app, through the Management API.
 *
 * Every method needs an API key and throws a `TypeError` for an invalid argument, {@link ApiError} if the API refuses
 * the call (`apiCode` is the reason, for example `user_not_found`) and {@link UnavailableError} if it is unavailable.
 *
 * @see docs/protocol.md §6.2
 */
export class PassageUsers {
  readonly #call: CallApi;
  readonly #changed: (userId: string) => void;

  /**
   * @param changed Called for every user that is changed here.
   * @internal
   */
  constructor(call: CallApi, changed: (userId: string) => void) {
    this.#call = call;
    this.#changed = changed;
  }

  /** Returns a user by ID. */
  get(userId: string, options?: CallOptions): Promise<PassageUser> {
    return this.#user('GET', [], userId, options);
  }

  /**
   * Returns the user who has this email address or phone number, in two calls.
   *
   * @throws {@link ApiError} `user_not_found` if there is none
   */
  async getByIdentifier(identifier: string, options?: CallOptions): Promise<PassageUser> {
    requireText('identifier', identifier);
    const wanted = storedForm(identifier);
    const { users } = await this.listPage({ identifier: wanted, limit: 1 }, options);
    const found = users.find(({ email, phone }) => email?.toLowerCase() === wanted || phone === wanted);
    // There is no such endpoint: the official SDKs make this answer themselves (docs/protocol.md §6.3).
    if (!found) throw new ApiError(404, 'user_not_found', 'User not found.');
    return this.get(found.id, options);
  }

  /**
   * Iterates over the users that a query matches, page by page. Users created meanwhile do not shift the pages.
   *
   * A failure does not end the iterator: loop over it again to continue with the page that failed.
   */
  list(query: ListUsersQuery = {}, options?: CallOptions): UserIterator {
    toQuery(query);
    return new UserIterator(query, (page) => this.listPage(page, options));
  }

  /** Returns one page of the users that a query matches, with their total and the query of the next page. */
  async listPage(query: ListUsersQuery = {}, options?: CallOptions): Promise<UserPage> {
    const answer = await this.#call('GET', ['users'], { ...options, query: toQuery(query) });
    return readPage(answer, query);
  }

  /** Creates a user, `pending` until the first login. */
  async create(args: CreateUserArgs, options?: CallOptions): Promise<PassageUser> {
    const body = toBody(args);
    if (!body.email && !body.phone)
      throw new TypeError('At least one of args.email or args.phone is required');
    return readUser(await this.#call('POST', ['users'], { ...options, body, envelope: 'user' }));
  }

  /** Updates a user and returns the new state. */
  update(userId: string, args: UpdateUserArgs, options?: CallOptions): Promise<PassageUser> {
    return this.#user('PATCH', [], userId, { ...options, body: toBody(args) });
  }

  /** Deletes a user permanently. With `loadUser: false`, access tokens stay valid until they expire. */
  async delete(userId: string, options?: CallOptions): Promise<void> {
    await this.#call('DELETE', userPath(userId), options);
    this.#changed(userId);
  }

  /** Lets a user log in again. */
  activate(userId: string, options?: CallOptions): Promise<PassageUser> {
    return this.#user('PATCH', ['activate'], userId, options);
  }

  /** Prevents a user from logging in. With `loadUser: false`, access tokens stay valid until they expire. */
  deactivate(userId: string, options?: CallOptions): Promise<PassageUser> {
    return this.#user('PATCH', ['deactivate'], userId, options);
  }

  /** Returns the passkeys of a user. */
  async listDevices(userId: string, options?: CallOptions): Promise<WebAuthnDevice[]> {
    const path = [...userPath(userId), 'devices'];
    const devices = await this.#call('GET', path, { ...options, envelope: 'devices' });
    if (!Array.isArray(devices)) throw new ApiError(200);
    return fromWire(devices) as WebAuthnDevice[];
  }

  /** Removes a passkey of a user. */
  async revokeDevice(userId: string, deviceId: string, options?: CallOptions): Promise<void> {
    requireSegment('deviceId', deviceId);
    await this.#call('DELETE', [...userPath(userId), 'devices', deviceId], options);
  }

  /** Ends all sessions of a user: refresh tokens stop working. Access tokens stay valid until they expire. */
  async revokeRefreshTokens(userId: string, options?: CallOptions): Promise<void> {
    await this.#call('DELETE', [...userPath(userId), 'tokens'], options);
  }

  async #user(
    method: 'GET' | 'PATCH',
    action: readonly string[],
    userId: string,
    call?: ApiCall,
  ): Promise<PassageUser> {
    const path = [...userPath(userId), ...action];
    const user = readUser(await this.#call(method, path, { ...call, envelope: 'user' }));
    // A cache between us and the API may mix up responses: one user must not become another.
    if (user.id !== userId) throw new ApiError(200);
    if (method === 'PATCH') this.#changed(userId);
    return user;
  }
}

/** An identifier as the server stores it: in lower case, the domain of an email address in ASCII (docs/protocol.md §1.5). */
function storedForm(identifier: string): string {
  const text = identifier.trim().toLowerCase().normalize('NFC');
  const at = text.lastIndexOf('@') + 1;
  const domain = text.slice(at);
  // A URL may have more than a host, so `#`, `/`, `?`, `%` and `:` must not become one.
  if (at === 0 || /[^\P{ASCII}a-z\d.-]/u.test(domain) || !URL.canParse(`http://${domain}`)) return text;
  return text.slice(0, at) + new URL(`http://${domain}`).hostname;
}

function userPath(userId: string): string[] {
  requireSegment('userId', userId);
  return ['users', userId];
}

function toBody({ email, phone, userMetadata }: UpdateUserArgs): Record<string, unknown> {
  return { email, phone, user_metadata: userMetadata };
}
