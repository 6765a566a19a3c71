import { type Awaitable, grace, within } from './awaitable.ts';
import type { BoundedCache, Cached } from './cache.ts';
import { ApiError, InvalidTokenError, UserInactiveError } from './errors.ts';
import { freeze } from './freeze.ts';
import type { PassageUser } from './models.ts';
import type { ResolvedOptions } from './options.ts';
import type { PassageUsers } from './users.ts';

/** Returns the user of a token; synchronously if it is in memory. @internal */
export type LoadUser = (userId: string) => Awaitable<PassageUser>;

/** A user in memory, or the call that loads it. @internal */
export interface LoadedUser extends Cached {
  user: PassageUser | undefined;
  /** Resolves to a function that returns the user, or throws why there is none. */
  readonly outcome: Promise<() => PassageUser>;
  /** When it expires, in milliseconds since the epoch. A call that takes longer is dead. */
  until: number;
}

/** Limit of a call of the Management API, in milliseconds. */
const longestCall = 10_000;

/**
 * Creates the function that loads the user of a token, from memory for a short time.
 *
 * While a user is being loaded, further requests for the same user wait for the same answer.
 *
 * @param cache Users in memory. Delete the entry of a user that changes.
 * @internal
 */
export function createUserLoader(
  users: PassageUsers,
  cache: BoundedCache<LoadedUser>,
  { userCacheTtl, clock }: ResolvedOptions,
): LoadUser {
  function load(userId: string): LoadedUser {
    const outcome = users.get(userId).then(
      (user): (() => PassageUser) => {
        loaded.user = freeze(user);
        loaded.until = clock() + userCacheTtl * 1000;
        return () => user;
      },
      (cause) => {
        if (cache.get(userId) === loaded) cache.delete(userId);
        const gone = cause instanceof ApiError && cause.apiCode === 'user_not_found';
        return () => {
          throw gone ? new InvalidTokenError('user', { cause }) : cause;
        };
      },
    );
    const loaded: LoadedUser = { user: undefined, outcome, until: clock() + longestCall + grace };
    cache.set(userId, loaded);
    return loaded;
  }

  return function find(userId): Awaitable<PassageUser> {
    const known = cache.get(userId);
    const now = clock();
    if (!known || now >= known.until) return load(userId).outcome.then((user) => checkActive(user()));
    if (known.user) return checkActive(known.user);
    return within(known.until - now, known.outcome).then((user) => {
      if (user) return checkActive(user());
      // On Workers, the request that started the call may be gone, and the call with it.
      if (cache.get(userId) === known) cache.delete(userId);
      return find(userId);
    });
  };
}

function checkActive(user: PassageUser): PassageUser {
  if (user.status === 'inactive') throw new UserInactiveError();
  return user;
}
