import { InvalidTokenError, UnavailableError } from './errors.ts';
import type { PassageOptions } from './options.ts';
import { Passage } from './passage.ts';

const server = '"baseUrl" (PASSAGE_BASE_URL, or PASSAGE_AUTH_URL)';
const clocks = 'compare the clocks of both machines, or raise "clockTolerance" (seconds)';

const advice: Readonly<Record<string, string>> = {
  malformed: 'Send the access token as it was issued, without quotes; not a refresh token or an API key',
  algorithm: 'Send a token of your Passage server, which signs with RS256',
  key: `The issuer does not publish that key: check ${server} and "appId" (PASSAGE_APP_ID)`,
  signature: `It was changed, or another server has issued it: check ${server}`,
  exp: `Refresh the token; if it is new, ${clocks}`,
  nbf: `If the token is new, ${clocks}`,
  sub: 'It has no user ID: send an access token of your Passage server',
  iss: `Check ${server} and "appId" (PASSAGE_APP_ID), or set "issuer" (PASSAGE_ISSUER)`,
  aud: 'Set "appId" (PASSAGE_APP_ID) to the app that the token was issued for',
};

/**
 * Explains why a token is refused, and what to set. For development: the text contains `iss` or `aud` of the token, but
 * never the token itself.
 *
 * @param token Access token.
 * @param options Those of the app that refuses it. Default is the environment, as for {@link Passage}.
 * @throws TypeError if an option is missing, unknown or invalid
 * @example
 * ```ts
 * console.log(await explainToken(token));
 * ```
 */
export async function explainToken(token: string, options: PassageOptions = {}): Promise<string> {
  try {
    await new Passage({ ...options, loadUser: false }).auth.verifyToken(token);
    return 'The token is valid';
  } catch (error) {
    if (error instanceof UnavailableError) return `${error.message}: check ${server} and the network`;
    if (error instanceof InvalidTokenError) return explain(error);
    throw error;
  }
}

function explain({ message, claim, reason, mismatch }: InvalidTokenError): string {
  const parts = [claim ? `${message} ("${claim}")` : message];
  if (mismatch) parts.push(`Expected ${quote(mismatch.expected)}, received ${quote(mismatch.received)}`);
  parts.push(advice[claim ?? reason] as string);
  return parts.join('. ');
}

/** JSON of at most 200 characters. */
function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
