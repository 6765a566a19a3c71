// @ts-check
import { Passage } from '@passage-auth/core';
import { JwtRsaVerifier } from 'aws-jwt-verify';
import { createVerifier } from 'fast-jwt';
import buildGetJwks from 'get-jwks';
import { createRemoteJWKSet, jwtVerify } from 'jose';

/** @typedef {(token: string) => unknown} Verify */

/**
 * What every verifier is told about the issuer.
 *
 * @typedef {object} Issuer
 * @property {string} appId
 * @property {string} baseUrl
 * @property {string} issuer
 */

/**
 * @param {Issuer} issuer
 * @param {import('@passage-auth/core').PassageOptions} [options]
 * @returns {Verify}
 */
export function passage({ appId, baseUrl }, options) {
  const client = new Passage({ appId, baseUrl, ...options });
  return (token) => client.auth.verifyToken(token);
}

/**
 * @param {Issuer} issuer
 * @returns {Verify}
 */
export function jose({ appId, issuer }) {
  const keys = createRemoteJWKSet(jwksUrl(issuer));
  return (token) => jwtVerify(token, keys, { issuer, audience: appId, algorithms: ['RS256'] });
}

/**
 * fast-jwt with the keys of get-jwks, as their READMEs join them.
 *
 * @param {Issuer} issuer
 * @param {number} cache Tokens to remember.
 * @returns {Verify}
 */
export function fastJwt({ appId, issuer }, cache) {
  const keys = buildGetJwks({ issuersWhitelist: [`${issuer}/`] });
  return createVerifier({
    key: (/** @type {import('fast-jwt').DecodedJwt} */ { header }) =>
      keys.getPublicKey({ kid: header.kid, alg: header.alg, domain: issuer }),
    algorithms: ['RS256'],
    allowedIss: issuer,
    allowedAud: appId,
    cache,
  });
}

/**
 * fast-jwt with the key given, which is its quickest way: all of it runs without waiting, on the main thread.
 *
 * @param {Issuer} issuer
 * @param {string} key PEM.
 * @param {number} cache Tokens to remember.
 * @returns {Verify}
 */
export function fastJwtWithKey({ appId, issuer }, key, cache) {
  return createVerifier({ key, algorithms: ['RS256'], allowedIss: issuer, allowedAud: appId, cache });
}

/**
 * It fetches by https only, so it is given the keys.
 *
 * @param {Issuer} issuer
 * @param {any} jwks
 * @returns {Verify}
 */
export function awsJwtVerify({ appId, issuer }, jwks) {
  const verifier = JwtRsaVerifier.create({
    issuer,
    audience: appId,
    jwksUri: `https://never.asked/${appId}`,
  });
  verifier.cacheJwks(jwks);
  return (token) => verifier.verify(token);
}

/** @param {string} issuer */
export function jwksUrl(issuer) {
  return new URL(`${issuer}/.well-known/jwks.json`);
}
