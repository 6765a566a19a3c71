// @ts-check
import { heading, progress, table } from './report.mjs';
import { fastJwt, jose, passage } from './verifiers.mjs';

/**
 * Counts how often the keys are fetched: by 1,000 requests that find a verifier without keys, and by 1,000 tokens of forged keys.
 *
 * @param {import('@passage-auth/testing').TestPassage} server
 */
export async function countFetches(server) {
  const { appId, baseUrl, issuer } = server.options;
  const options = { appId, baseUrl, issuer: String(issuer) };
  const good = Array.from({ length: 1000 }, () => server.signToken());
  const forged = good.map((_, index) => server.signToken({}, { kid: `forged${index}` }));
  const makers = {
    Passage: () => passage(options),
    'jose, createRemoteJWKSet': () => jose(options),
    'fast-jwt, get-jwks': () => fastJwt(options, 1000),
  };
  heading('Fetches of the keys');
  const rows = [];
  for (const [name, make] of Object.entries(makers)) {
    progress(`fetches: ${name}\n`);
    const verify = make();
    const cold = await countOf(server, good, verify);
    const unknown = await countOf(server, forged, verify);
    rows.push([name, cold, unknown]);
  }
  table(['', '1,000 good tokens at once, no keys yet', '1,000 forged key ids at once'], rows);
}

/**
 * @param {import('@passage-auth/testing').TestPassage} server
 * @param {string[]} tokens
 * @param {import('./verifiers.mjs').Verify} verify
 */
async function countOf(server, tokens, verify) {
  const before = server.requests.jwks;
  await Promise.allSettled(tokens.map(async (token) => verify(token)));
  return server.requests.jwks - before;
}
