import { type Awaitable, chain } from './awaitable.ts';
import type { BoundedCache } from './cache.ts';
import { ApiError, InvalidTokenError, UserInactiveError } from './errors.ts';
import { freeze } from './freeze.ts';
import type { PassageUser } from './models.ts';
import type { ResolvedOptions } from './options.ts';
import type { PassageUsers } from './users.ts';

/** Gives the user of a token: at once where it is in memory. @internal */
export type LoadUser = (userId: string) => Awaitable<PassageUser>;

/** A user in memory, or on the way there. @internal */
export interface LoadedUser {
  user: Awaitable<PassageUser>;
  /** Until when it serves, in milliseconds since the epoch. */
  until: number;
}

/**
 * Makes the function that loads the user of a token, from memory for a short time.
 *
 * While a user is being loaded, further requests for the same user wait for the same answer.
 *
 * @param cache Memory of the users; whoever changes a user deletes its entry.
 * @internal
 */
export function createUserLoader(
  users: PassageUsers,
  cache: BoundedCache<LoadedUser>,
  { userCacheTtl, clock }: ResolvedOptions,
): LoadUser {
  function load(userId: string): LoadedUser {
    const user = users.get(userId).then(
      (user) => {
        loaded.user = freeze(user);
        loaded.until = clock() + userCacheTtl * 1000;
        return user;
      },
      (cause) => {
        if (cache.get(userId) === loaded) cache.delete(userId);
        const gone = cause instanceof ApiError && cause.apiCode === 'user_not_found';
        throw gone ? new InvalidTokenError('user', { cause }) : cause;
      },
    );
    const loaded: LoadedUser = { user, until: Number.POSITIVE_INFINITY };
    cache.set(userId, loaded);
    return loaded;
  }

  return (userId) => {
    const known = cache.get(userId);
    const { user } = known && clock() < known.until ? known : load(userId);
    return chain(user, checkActive);
  };
}

function checkActive(user: PassageUser): PassageUser {
  if (user.status === 'inactive') throw new UserInactiveError();
  return user;
}
