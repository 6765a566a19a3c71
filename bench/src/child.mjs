// @ts-check
/**
 * What has to be measured in a new process: `node child.mjs <measure> [argument]`. Sends one number, or a list of them.
 *
 * @module
 */
const {
  PASSAGE_APP_ID: appId = '',
  PASSAGE_BASE_URL: baseUrl = '',
  ISSUER: issuer = '',
  TOKEN = '',
} = process.env;
const options = { appId, baseUrl, issuer };

/** @type {Record<string, (argument: string) => Promise<number | number[]>>} */
const measures = {
  /** Milliseconds of importing packages, whose names are joined by commas. */
  async import(names) {
    const start = performance.now();
    for (const name of names.split(',')) await import(name);
    return performance.now() - start;
  },

  /** Milliseconds from nothing loaded to the first verified token. */
  async first(verifier) {
    const start = performance.now();
    const verify = await load(verifier);
    await verify(TOKEN);
    return performance.now() - start;
  },

  /** Milliseconds and MB of starting the testing kit. */
  async testing() {
    const start = performance.now();
    const { startPassage } = await import('@passage-auth/testing');
    const loaded = performance.now();
    await startPassage();
    const first = performance.now();
    await startPassage();
    const second = performance.now();
    return [loaded - start, first - loaded, second - first, process.memoryUsage().rss / 2 ** 20];
  },
};

/** @param {string} name */
async function load(name) {
  if (name === 'Passage') {
    const { Passage } = await import('@passage-auth/core');
    const passage = new Passage({ appId, baseUrl });
    return (/** @type {string} */ token) => passage.auth.verifyToken(token);
  }
  if (name === 'jose') {
    const { createRemoteJWKSet, jwtVerify } = await import('jose');
    const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
    return (/** @type {string} */ token) => jwtVerify(token, keys, { issuer, audience: appId });
  }
  const [{ createVerifier }, { default: buildGetJwks }] = [
    await import('fast-jwt'),
    await import('get-jwks'),
  ];
  const keys = buildGetJwks({ issuersWhitelist: [`${options.issuer}/`] });
  return createVerifier({
    key: (/** @type {import('fast-jwt').DecodedJwt} */ { header }) =>
      keys.getPublicKey({ kid: header.kid, alg: header.alg, domain: issuer }),
    allowedIss: issuer,
    allowedAud: appId,
  });
}

const [name = '', argument = ''] = process.argv.slice(2);
const measure = measures[name];
if (!measure) throw new TypeError(`The measure must be one of: ${Object.keys(measures).join(', ')}`);
process.send?.(await measure(argument));
process.exit();
