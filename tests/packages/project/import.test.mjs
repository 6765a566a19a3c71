import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import * as core from '@passage-auth/core';
import * as express from '@passage-auth/express';
import * as fastify from '@passage-auth/fastify';
import * as hono from '@passage-auth/hono';
import * as nestjs from '@passage-auth/nestjs';
import * as server from '@passage-auth/server';
import * as testing from '@passage-auth/testing';

const packages = { core, express, fastify, hono, nestjs, server, testing };
const require = createRequire(import.meta.url);

for (const [name, module] of Object.entries(packages)) {
  test(`${name} has the same names by import and by require`, () => {
    const names = Object.keys(module).sort();
    assert.deepEqual(names, Object.keys(require(`@passage-auth/${name}`)).sort());
    assert.notEqual(names.length, 0);
  });
}

for (const name of ['core', 'express', 'fastify', 'hono', 'nestjs']) {
  test(`${name} verifies`, async () => {
    const passage = await testing.startPassage();
    const { Passage } = packages[name];
    const { auth } = new Passage(passage.options);
    const { token, headers } = await passage.signIn('ada@example.com');
    const principal = await auth.authenticate(headers);
    assert.equal(await auth.validateJwt(token), principal.userId);
    assert.equal(principal.user.email, 'ada@example.com');
    for (const bad of await passage.badTokens()) {
      await assert.rejects(auth.verifyToken(bad.token), { code: bad.code, reason: bad.reason });
    }
    await passage.close();
  });
}

test('two copies of core know the errors of each other', () => {
  const other = require('@passage-auth/core');
  const error = new other.UnauthenticatedError();
  assert.ok(!(error instanceof core.PassageError), 'the copies differ');
  assert.ok(core.isPassageError(error));
  assert.ok(other.isPassageError(new core.UnauthenticatedError()));
  assert.ok(!core.isPassageError(new Error('other')));
});
