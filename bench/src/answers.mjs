// @ts-check
import { once } from 'node:events';
import { createServer } from 'node:http';
import fastifyJwt from '@fastify/jwt';
import { passageAuth, passageErrors } from '@passage-auth/express';
import { startPassage } from '@passage-auth/testing';
import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';
import fastify from 'fastify';
import buildGetJwks from 'get-jwks';
import { passportJwtSecret } from 'jwks-rsa';
import { Passport } from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { heading, table } from './report.mjs';
import { jwksUrl } from './verifiers.mjs';

/** @typedef {import('node:http').RequestListener} App */
/** @typedef {import('./verifiers.mjs').Issuer} Issuer */

/** What each package answers, made as its own README says. An app that cannot be optional has no second form. */
const packages = {
  /** @param {Issuer} issuer @param {boolean} optional */
  'Passage Auth': ({ appId, baseUrl }, optional) => {
    const app = express();
    app.use(passageAuth({ appId, baseUrl, loadUser: false, optional }));
    app.get('/', (_req, res) => void res.end());
    return app.use(passageErrors());
  },
  /** @param {Issuer} issuer @param {boolean} optional */
  'express-oauth2-jwt-bearer': ({ appId, issuer }, optional) => {
    const app = express();
    app.use(auth({ issuer, jwksUri: jwksUrl(issuer).href, audience: appId, authRequired: !optional }));
    return app.get('/', (_req, res) => void res.end());
  },
  /** @param {Issuer} issuer @param {boolean} optional */
  'passport-jwt, jwks-rsa': ({ appId, issuer }, optional) => {
    if (optional) return undefined;
    const passport = new Passport();
    const strategy = new Strategy(
      {
        jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
        secretOrKeyProvider: passportJwtSecret({
          jwksUri: jwksUrl(issuer).href,
          cache: true,
          rateLimit: true,
        }),
        issuer,
        audience: appId,
        algorithms: ['RS256'],
      },
      (/** @type {object} */ claims, /** @type {(error: null, user: object) => void} */ done) =>
        done(null, claims),
    );
    const app = express().use(passport.initialize());
    const protect = passport.use(strategy).authenticate('jwt', { session: false });
    return app.get('/', protect, (_req, res) => void res.end());
  },
  /** @param {Issuer} issuer @param {boolean} optional */
  '@fastify/jwt, get-jwks': async ({ appId, issuer }, optional) => {
    if (optional) return undefined;
    const keys = buildGetJwks();
    const app = fastify();
    app.register(fastifyJwt, {
      decode: { complete: true },
      secret: (/** @type {unknown} */ _request, /** @type {any} */ { header }) =>
        keys.getPublicKey({ kid: header.kid, alg: header.alg, domain: issuer }),
      verify: { algorithms: ['RS256'], allowedIss: issuer, allowedAud: appId },
    });
    app.addHook('onRequest', (request) => request.jwtVerify());
    app.get('/', async () => '');
    await app.ready();
    return app.routing;
  },
};

/** Prints what each package answers where they differ: without credentials, with bad ones, and in an outage. */
export async function answers() {
  const columns = ['', 'no token', 'expired', 'no key yet, issuer down', 'key known, issuer down'];
  const rows = [];
  const { error } = console;
  console.error = () => {}; // Express prints what peers throw.
  for (const [name, create] of Object.entries(packages)) rows.push([name, ...(await observe(create))]);
  console.error = error;
  heading('What is answered');
  table([...columns, 'optional, expired', 'fetches for 100 forged key IDs'], rows);
}

/** @param {(issuer: Issuer, optional: boolean) => App | undefined | Promise<App | undefined>} create */
async function observe(create) {
  const passage = await startPassage({ port: 0 });
  const { appId, baseUrl } = passage.options;
  const issuer = { appId, baseUrl, issuer: `${baseUrl}/auth/v1/apps/${appId}` };
  const good = passage.signToken();
  const expired = passage.signToken({ exp: 1 });

  const app = /** @type {App} */ (await create(issuer, false));
  const seen = [await ask(app), await ask(app, expired)];
  await ask(app, good);
  const before = passage.requests.jwks;
  for (let count = 0; count < 100; count += 1)
    await ask(app, passage.signToken({}, { kid: `forged${count}` }));
  const fetches = passage.requests.jwks - before;

  passage.fault('jwks', 'unreachable');
  const fresh = /** @type {App} */ (await create(issuer, false));
  seen.push(await ask(fresh, good), await ask(app, passage.signToken({ jti: 'another' })));
  const open = await create(issuer, true);
  seen.push(open ? await ask(open, expired) : '–');
  await passage.close();
  return [...seen, fetches];
}

/**
 * @param {App} app
 * @param {string} [token]
 */
async function ask(app, token) {
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const { status, headers } = await fetch(`http://127.0.0.1:${port}/`, {
    headers: token ? { authorization: `Bearer ${token}` } : {},
  });
  server.closeAllConnections();
  server.close();
  const challenge = headers.has('www-authenticate') ? ', challenge' : '';
  const retry = headers.has('retry-after') ? ', Retry-After' : '';
  return `${status}${challenge}${retry}`;
}
