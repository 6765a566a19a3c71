const assert = require('node:assert/strict');
const { test } = require('node:test');
const { startPassage } = require('@passage-auth/testing');

for (const name of ['core', 'express', 'fastify', 'hono', 'nestjs']) {
  test(`${name} verifies`, async () => {
    const passage = await startPassage();
    const { Passage } = require(`@passage-auth/${name}`);
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
