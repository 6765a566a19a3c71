import type { BoundedCache } from './cache.ts';
import { ApiError, InvalidTokenError, UserInactiveError } from './errors.ts';
import { freeze } from './freeze.ts';
import type { PassageUser } from './models.ts';
import type { ResolvedOptions } from './options.ts';
import type { PassageUsers } from './users.ts';

/** A user in memory, or on the way there. @internal */
export interface LoadedUser {
  readonly user: Promise<PassageUser>;
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
): (userId: string) => Promise<PassageUser> {
  async function read(userId: string): Promise<PassageUser> {
    const known = cache.get(userId);
    if (known && clock() < known.until) return known.user;
    const loaded: LoadedUser = { user: users.get(userId).then(freeze), until: Number.POSITIVE_INFINITY };
    cache.set(userId, loaded);
    try {
      const user = await loaded.user;
      loaded.until = clock() + userCacheTtl * 1000;
      return user;
    } catch (error) {
      if (cache.get(userId) === loaded) cache.delete(userId);
      throw error;
    }
  }

  return async (userId) => {
    const user = await read(userId).catch((cause) => {
      const gone = cause instanceof ApiError && cause.apiCode === 'user_not_found';
      throw gone ? new InvalidTokenError('user', { cause }) : cause;
    });
    if (user.status === 'inactive') throw new UserInactiveError();
    return user;
  };
}
