// @ts-check
/**
 * One of the apps that are compared over HTTP, in a process of its own: `node app.mjs <name>`. Each answers `GET /` with the user id.
 *
 * @module
 */
import 'reflect-metadata';
import { clerkMiddleware, getAuth } from '@clerk/express';
import fastifyJwt from '@fastify/jwt';
import { Controller, Get, Module, Req, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { passageAuth } from '@passage-auth/express';
import { passage } from '@passage-auth/fastify';
import { CurrentUser, PassageGuard, PassageModule, UserId } from '@passage-auth/nestjs';
import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';
import fastify from 'fastify';
import buildGetJwks from 'get-jwks';
import { passportJwtSecret } from 'jwks-rsa';
import passportJwt from 'passport-jwt';

const { PASSAGE_APP_ID: audience = '', ISSUER: issuer = '', KEY: key = '' } = process.env;
const jwksUri = `${issuer}/.well-known/jwks.json`;

/** As long as a user ID: all answers must have the same length. */
const anybody = 'a'.repeat(24);

/** The least that a middleware does. @param {Pick<import('node:http').IncomingMessage, 'headers'>} request */
function copyHeader(request) {
  Object.assign(request, { caller: request.headers.authorization?.slice(0, anybody.length) });
}

/** @typedef {import('express').RequestHandler} Handler */

/** @type {Record<string, () => Promise<number>>} */
const apps = {
  express: () => serveExpress([], () => anybody),
  'express, header read': () =>
    serveExpress(
      [
        (req, _res, next) => {
          copyHeader(req);
          next();
        },
      ],
      (req) => /** @type {any} */ (req).caller,
    ),
  'express passage': () => serveExpress([passageAuth({ loadUser: false })], (req) => req.passage?.userId),
  'express passage user': () => serveExpress([passageAuth()], (req) => req.passage?.user.id),
  'express-oauth2-jwt-bearer': () =>
    serveExpress(
      [auth({ issuer, audience, jwksUri, tokenSigningAlg: 'RS256' })],
      (req) => req.auth?.payload.sub,
    ),
  '@clerk/express': () =>
    serveExpress(
      [
        clerkMiddleware({
          jwtKey: key,
          secretKey: 'sk_test_none',
          publishableKey: `pk_test_${btoa('clerk.example$')}`,
        }),
      ],
      (req) => getAuth(req).userId,
    ),

  fastify: () =>
    serveFastify(
      async () => {},
      () => anybody,
    ),
  'fastify, header read': () =>
    serveFastify(
      async (app) => {
        app.decorateRequest('caller', undefined);
        app.addHook('onRequest', (request, _reply, done) => {
          copyHeader(request);
          done();
        });
      },
      (request) => /** @type {any} */ (request).caller,
    ),
  'fastify passage': () =>
    serveFastify(
      (app) => app.register(passage, { loadUser: false }),
      (request) => request.passage?.userId,
    ),
  'fastify passage user': () =>
    serveFastify(
      (app) => app.register(passage),
      (request) => request.passage?.user.id,
    ),
  '@fastify/jwt': () => serveFastify(useFastifyJwt, (request) => /** @type {any} */ (request).user.sub),

  nest: () =>
    serveNest(
      {},
      class {
        canActivate() {
          return true;
        }
      },
      Req(),
      () => anybody,
    ),
  'nest passage': () =>
    serveNest(
      { imports: [PassageModule.forRoot({ loadUser: false })] },
      PassageGuard,
      UserId(),
      (userId) => userId,
    ),
  'nest passage user': () =>
    serveNest({ imports: [PassageModule.forRoot()] }, PassageGuard, CurrentUser(), ({ id }) => id),
  '@nestjs/passport': () =>
    serveNest(
      { imports: [PassportModule], providers: [JwtStrategy] },
      AuthGuard('jwt'),
      Req(),
      ({ user }) => user.sub,
    ),
};

/**
 * @param {Handler[]} middleware
 * @param {(req: import('express').Request) => unknown} userIdOf
 * @returns {Promise<number>} The port.
 */
function serveExpress(middleware, userIdOf) {
  const app = express();
  for (const handler of middleware) app.use(handler);
  app.get('/', (req, res) => {
    res.json({ userId: userIdOf(req) });
  });
  return new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(portOf(server)));
  });
}

/**
 * @param {(app: import('fastify').FastifyInstance) => PromiseLike<unknown>} protect
 * @param {(request: import('fastify').FastifyRequest) => unknown} userIdOf
 */
async function serveFastify(protect, userIdOf) {
  const app = fastify();
  await protect(app);
  app.get('/', async (request) => ({ userId: userIdOf(request) }));
  await app.listen({ port: 0, host: '127.0.0.1' });
  return portOf(app.server);
}

/**
 * As the README of get-jwks says, with the cache of fast-jwt.
 *
 * @param {import('fastify').FastifyInstance} app
 */
async function useFastifyJwt(app) {
  const keys = buildGetJwks({ issuersWhitelist: [`${issuer}/`] });
  await app.register(fastifyJwt, {
    decode: { complete: true },
    secret: (/** @type {any} */ _request, /** @type {any} */ { header }) =>
      keys.getPublicKey({ kid: header.kid, alg: header.alg, domain: issuer }),
    verify: { algorithms: ['RS256'], allowedIss: issuer, allowedAud: audience, cache: true },
  });
  app.addHook('onRequest', async (request) => {
    await request.jwtVerify();
  });
}

/**
 * Decorators called by hand: this file is JavaScript.
 *
 * @param {import('@nestjs/common').ModuleMetadata} metadata
 * @param {Parameters<typeof UseGuards>[0]} guard
 * @param {ParameterDecorator} parameter
 * @param {(value: any) => unknown} userIdOf
 */
async function serveNest(metadata, guard, parameter, userIdOf) {
  class AppController {
    /** @param {unknown} value */
    get(value) {
      return { userId: userIdOf(value) };
    }
  }
  const method = /** @type {PropertyDescriptor} */ (
    Object.getOwnPropertyDescriptor(AppController.prototype, 'get')
  );
  Controller()(AppController);
  Get()(AppController.prototype, 'get', method);
  UseGuards(guard)(AppController.prototype, 'get', method);
  parameter(AppController.prototype, 'get', 0);
  class AppModule {}
  Module({ ...metadata, controllers: [AppController] })(AppModule);
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  return portOf(app.getHttpServer());
}

class JwtStrategy extends PassportStrategy(passportJwt.Strategy) {
  constructor() {
    super({
      jwtFromRequest: passportJwt.ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKeyProvider: passportJwtSecret({ jwksUri, cache: true, rateLimit: true }),
      algorithms: ['RS256'],
      issuer,
      audience,
    });
  }

  /** @param {unknown} claims */
  validate(claims) {
    return claims;
  }
}

/** @param {import('node:net').Server} server */
function portOf(server) {
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
}

const start = apps[process.argv[2] ?? ''];
if (!start) throw new TypeError(`The app must be one of: ${Object.keys(apps).join(', ')}`);
const port = await start();
process.on('message', () => process.send?.(process.cpuUsage()));
process.on('disconnect', () => process.exit());
process.send?.(port);
