import type { CallApi, CallOptions } from './api.ts';
import { ApiError, UnavailableError } from './errors.ts';
import { boundedFetch } from './http.ts';
import { type KeySet, keysUrl, readKeySet } from './keys.ts';
import type { ResolvedOptions } from './options.ts';

/**
 * Makes the function that asks the issuer for its keys and the Management API for the app, once each.
 *
 * @internal
 */
export function createCheck(options: ResolvedOptions, call: CallApi): (how?: CallOptions) => Promise<void> {
  const fetch = boundedFetch(options.fetch, options.timeout);

  async function checkKeys({ signal }: CallOptions): Promise<void> {
    const response = await fetch(keysUrl(options), signal && { signal }).catch((cause: unknown) => {
      throw signal?.aborted ? signal.reason : new UnavailableError('keys', 1, { cause });
    });
    if (response.status >= 500 || response.status === 429) throw new UnavailableError('keys', 1);
    const keys = response.status === 200 ? await readKeys(await response.text()) : undefined;
    if (!keys?.size) {
      throw new TypeError(
        'No keys were found for the app: check "appId" (PASSAGE_APP_ID) and "baseUrl" (PASSAGE_BASE_URL, or PASSAGE_AUTH_URL)',
      );
    }
  }

  async function checkApi(how: CallOptions): Promise<void> {
    await call('GET', [], { ...how, envelope: 'app' }).catch((error: unknown) => {
      // A wrong key has a text of its own.
      if (!(error instanceof ApiError) || error.apiStatus === 401) throw error;
      throw new TypeError(
        'The Management API does not know the app: check "appId" (PASSAGE_APP_ID) and "baseUrl" (PASSAGE_BASE_URL, or PASSAGE_API_URL)',
        { cause: error },
      );
    });
  }

  return async (how = {}) => {
    if (options.jwks === undefined) await checkKeys(how);
    if (options.apiKey !== undefined) await checkApi(how);
  };
}

async function readKeys(text: string): Promise<KeySet | undefined> {
  try {
    return await readKeySet(JSON.parse(text));
  } catch {
    return undefined;
  }
}
