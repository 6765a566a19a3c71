import { UnauthenticatedError } from './errors.ts';
import type { LoadUser } from './loader.ts';
import type { PassageUser } from './models.ts';
import type { PassageClaims } from './token.ts';

/** Who is calling: the owner of a verified token. */
export class Principal {
  /** Passage user ID, the `sub` of the token. */
  readonly userId: string;
  /** The verified claims. */
  readonly claims: PassageClaims;
  // Private fields stay out of `console.log` and `JSON.stringify`.
  readonly #token: string;
  readonly #load: LoadUser;
  #user: PassageUser | undefined;

  /** @internal */
  constructor(token: string, claims: PassageClaims, load: LoadUser, user?: PassageUser) {
    this.userId = claims.sub;
    this.claims = claims;
    this.#token = token;
    this.#load = load;
    this.#user = user;
  }

  /** The access token as it was sent, for calls on behalf of the caller. Never logged or serialized. */
  get token(): string {
    return this.#token;
  }

  /**
   * The Passage user. Read-only: one object may serve many requests.
   *
   * @throws TypeError if the user was not loaded
   */
  get user(): PassageUser {
    if (!this.#user) {
      throw new TypeError(
        'The user is not loaded: set PASSAGE_API_KEY (or "apiKey") and do not set "loadUser" to false, or await principal.loadUser()',
      );
    }
    return this.#user;
  }

  /**
   * Loads the Passage user, once, and returns it.
   *
   * @throws {@link InvalidTokenError} `user` if the user no longer exists
   * @throws {@link UserInactiveError} if the user is deactivated
   * @throws {@link UnavailableError} if the API is unavailable
   * @throws {@link ApiError} if the API refuses the call
   * @throws TypeError if there is no API key
   */
  async loadUser(): Promise<PassageUser> {
    this.#user ??= await this.#load(this.userId);
    return this.#user;
  }
}

/**
 * Returns the principal, or throws. A route whose middleware was forgotten then fails closed.
 *
 * @throws {@link UnauthenticatedError} if the request was not authenticated
 */
export function requirePrincipal(request: { readonly passage?: Principal | undefined }): Principal {
  if (!request.passage) throw new UnauthenticatedError();
  return request.passage;
}
