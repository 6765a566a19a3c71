import type { AddressInfo } from 'node:net';
import { Passage } from '@passage-auth/core';
import { passageAuth } from '@passage-auth/express';
import { startPassage } from '@passage-auth/testing';
import express from 'express';
import { createVerifier, type DecodedJwt } from 'fast-jwt';
import buildGetJwks from 'get-jwks';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

// Verifiers keep keys by the clock of the process: it moves by hand, the timers run.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const pass = (seconds: number) => void vi.advanceTimersByTime(seconds * 1000);

/** Requests in a second. */
const rate = 100;

/** Verifiers of four kinds, each of them as a back end of its own. */
async function openVerifiers(passage: Awaited<ReturnType<typeof startPassage>>) {
  const { issuer, appId } = passage.options;
  const iss = String(issuer);
  const client = new Passage(passage.options);
  const remote = createRemoteJWKSet(new URL(`${iss}/.well-known/jwks.json`));
  const keys = buildGetJwks();
  const fast = createVerifier({
    key: ({ header }: DecodedJwt) => keys.getPublicKey({ kid: header.kid, alg: header.alg, domain: iss }),
    allowedIss: iss,
    allowedAud: appId,
  });
  const app = express();
  app.use(passageAuth({ ...passage.options, loadUser: false }));
  app.get('/', (_req, res) => void res.send('in'));
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    verifiers: {
      '@passage-auth/core': (token: string) => client.auth.verifyToken(token),
      '@passage-auth/express': async (token: string) => {
        const { status } = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
        if (status !== 200) throw new Error(`Status ${status}`);
      },
      jose: (token: string) => jwtVerify(token, remote, { issuer: iss, audience: appId }),
      'fast-jwt with get-jwks': (token: string) => fast(token),
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

it('a rotation under 100 requests per second refuses no good token', { timeout: 120_000 }, async () => {
  await using passage = await startPassage({ port: 0 });
  const { verifiers, close } = await openVerifiers(passage);
  const user = await passage.createUser();
  const kinds = Object.entries(verifiers);
  const refused: string[] = [];
  const signers = new Set<string | undefined>();
  let tokens: { token: string; expires: number }[] = [];
  let count = 0;

  /** One second of traffic: half of it with a new token, half with those of the minutes before. */
  const serve = async (second: number) => {
    const { token } = await passage.signIn(user);
    signers.add(decodeProtectedHeader(token).kid);
    tokens = tokens.filter(({ expires }) => expires > Date.now() + 1000);
    if (second % 30 === 0) tokens.push({ token, expires: Date.now() + 900_000 });
    const requests = Array.from({ length: rate }, async (_, index) => {
      const [name, verify] = kinds[index % kinds.length] as (typeof kinds)[number];
      const old = tokens[(index >> 3) % tokens.length]?.token ?? token;
      await Promise.resolve(verify((index >> 2) % 2 ? old : token)).catch((error: Error) => {
        refused.push(`second ${second}, ${name}: ${error.message}`);
      });
    });
    count += (await Promise.all(requests)).length;
  };

  try {
    for (let second = 0; second < 1_920; second += 1) {
      if (second === 60) await passage.rotateKeys();
      // All seconds around a change: the new key is published at 60, signs from 660 on, the old one goes later.
      const change = [60, 660, 1_560].some((at) => Math.abs(second - at) < 8);
      if (change || second % 30 === 0) await serve(second);
      pass(1);
    }
  } finally {
    close();
  }
  expect(refused).toEqual([]);
  expect(signers.size).toBe(2);
  expect(count).toBeGreaterThan(90 * rate);
});

it('a key withdrawn after a leak signs nothing that is taken', { timeout: 60_000 }, async () => {
  await using passage = await startPassage({ port: 0 });
  const { verifiers, close } = await openVerifiers(passage);
  const { token } = await passage.signIn(await passage.createUser());
  try {
    for (const verify of Object.values(verifiers)) await verify(token);
    await passage.rotateKeys({ immediately: true });
    // Ours learn of it within ten minutes, and the others keep keys for as long as they like.
    pass(600);
    const ours = [verifiers['@passage-auth/core'], verifiers['@passage-auth/express']] as const;
    for (const verify of ours) {
      const next = await passage.signIn(await passage.createUser());
      await verify(next.token);
      await expect(verify(token)).rejects.toThrow();
    }
  } finally {
    close();
  }
});
