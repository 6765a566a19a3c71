import { InvalidTokenError, Passage, type Principal } from '@passage-auth/core';
import { passageAuth, requirePrincipal } from '@passage-auth/express';
import { passage as plugin } from '@passage-auth/fastify';
import { passageAuth as honoAuth } from '@passage-auth/hono';
import { PassageModule } from '@passage-auth/nestjs';
import type { startPassage } from '@passage-auth/testing';
import express from 'express';
import { fastify } from 'fastify';
import { Hono } from 'hono';
import * as common from './kinds.cjs';

// What one half makes, the other half takes.
export const client: Passage = common.client;
export const count = common.countUsers(new Passage());
export const status = common.refuse(new InvalidTokenError('expired'));
export const nest = [common.nestModule, PassageModule.forRoot({ passage: common.client })];
export const started: ReturnType<typeof startPassage> = common.start();

export const expressApp = express();
expressApp.use(common.middleware, passageAuth({ passage: common.client }));
expressApp.get('/me', (req, res) => res.send(common.nameOf(requirePrincipal(req))));

export const fastifyApp = fastify();
fastifyApp.register(common.plugin, { passage: client });
fastifyApp.register(plugin, { passage: common.client });
fastifyApp.get('/me', (request) => request.passage && common.nameOf(request.passage));

export const honoApp = new Hono();
honoApp.use(common.honoMiddleware, honoAuth({ passage: common.client }));
honoApp.get('/me', (c) => c.text(common.nameOf(c.var.passage as Principal)));
