// @ts-check
import { createPublicKey } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startPassage } from '@passage-auth/testing';
import { at, interleave, mapValues, ratio, time } from './interleave.mjs';
import { cell, goal, heading, progress, short, table } from './report.mjs';
import { awsJwtVerify, fastJwt, fastJwtWithKey, jose, jwksUrl, passage } from './verifiers.mjs';

/**
 * @import { Result } from './interleave.mjs'
 * @import { Issuer, Verify } from './verifiers.mjs'
 */

const poolSize = 4096;
/** No signature has to be checked to refuse these. */
const cheap = ['malformed', 'algorithm', 'key', 'expired', 'claim'];

export async function verify() {
  const server = await startPassage({ port: 0 });
  const { appId, baseUrl, issuer } = server.options;
  const options = { appId, baseUrl, issuer: String(issuer) };
  const jwks = await (await fetch(jwksUrl(options.issuer))).json();
  progress(`signing ${poolSize} tokens\n`);
  const tokens = Array.from({ length: poolSize }, (_, index) => server.signToken({ sub: `user${index}` }));
  const peers = {
    jose: jose(options),
    'fast-jwt, get-jwks': fastJwt(options, 0),
    'fast-jwt, key given': fastJwtWithKey(options, pemOf(jwks), 0),
    'aws-jwt-verify': awsJwtVerify(options, jwks),
  };

  await freshTokens(options, tokens, peers);
  await repeatedTokens(options, tokens, jwks, peers);
  await badTokens(options, await server.badTokens(), peers);
  await memory(options, tokens);
  await server.close();
}

/**
 * @param {Issuer} options
 * @param {string[]} tokens
 * @param {Record<string, Verify>} peers
 */
async function freshTokens(options, tokens, peers) {
  const count = 320;
  const [first = '', ...fresh] = tokens.slice(0, count + 1);
  /** @type {(inFlight: number) => Record<string, () => Promise<number>>} */
  const contestants = (inFlight) => ({
    // A new client knows no token; its keys are fetched before the clock starts.
    async Passage() {
      const verify = passage(options);
      await verify(first);
      return time(count, () => verifyAll(verify, fresh, inFlight));
    },
    ...mapValues(peers, (verify) => () => time(count, () => verifyAll(verify, fresh, inFlight))),
  });
  progress('fresh tokens, one at a time');
  const single = await interleave(contestants(1), 25, 0.5);
  progress('fresh tokens, 32 in flight');
  const many = await interleave(contestants(32), 25, 0.5);

  heading('A fresh token, µs');
  table(
    ['', 'one at a time', 'share of jose', '32 in flight', 'share of jose'],
    Object.keys(single).map((name) => {
      const [one, other] = [at(single, name), at(many, name)];
      const shares = [ratio(one, at(single, 'jose')), ratio(other, at(many, 'jose'))].map(short);
      return [name, cell(one), shares[0] ?? '', cell(other), shares[1] ?? ''];
    }),
  );
  const limits = { jose: 1, 'aws-jwt-verify': 1, 'fast-jwt, key given': 1.25 };
  for (const [name, limit] of Object.entries(limits)) {
    goal(`one at a time, share of ${name}`, ratio(at(single, 'Passage'), at(single, name)), '≤', limit);
    goal(`32 in flight, share of ${name}`, ratio(at(many, 'Passage'), at(many, name)), '≤', limit);
  }
}

/**
 * @param {Issuer} options
 * @param {string[]} tokens
 * @param {any} jwks
 * @param {Record<string, Verify>} peers
 */
async function repeatedTokens(options, tokens, jwks, peers) {
  const caching = {
    Passage: passage(options),
    'fast-jwt, get-jwks, cache': fastJwt(options, poolSize),
    'fast-jwt, key given, cache': fastJwtWithKey(options, pemOf(jwks), poolSize),
  };
  for (const verify of Object.values(caching)) await verifyAll(verify, tokens, 32);
  const { jose: withJose, 'aws-jwt-verify': withAws } = peers;

  heading('A repeated token, µs');
  /** @type {{ label: string, results: Record<string, Result> }[]} */
  const rows = [];
  for (const [hot, inFlight] of /** @type {const} */ ([
    [1, 1],
    [64, 1],
    [64, 32],
    [4096, 1],
  ])) {
    const sequence = cycle(copies(tokens.slice(0, hot), Math.max(hot, 256)), 8192);
    const few = copies(tokens.slice(0, hot), 64);
    progress(`${hot} repeated tokens, ${inFlight} in flight`);
    const results = await interleave(
      {
        ...mapValues(
          caching,
          (verify) => () => time(sequence.length, () => verifyAll(verify, sequence, inFlight)),
        ),
        ...mapValues(
          { jose: withJose, 'aws-jwt-verify': withAws },
          (verify) => () => time(few.length, () => verifyAll(/** @type {Verify} */ (verify), few, inFlight)),
        ),
      },
      25,
      0.5,
    );
    rows.push({ label: `${hot} hot, ${inFlight} in flight`, results });
  }
  table(
    ['', ...rows.map(({ label }) => label)],
    Object.keys(rows[0]?.results ?? {}).map((name) => [
      name,
      ...rows.map(({ results }) => cell(at(results, name))),
    ]),
  );
  for (const { label, results } of rows) {
    const own = at(results, 'Passage');
    const [remote, given] = [
      at(results, 'fast-jwt, get-jwks, cache'),
      at(results, 'fast-jwt, key given, cache'),
    ];
    goal(`${label}: times as fast as fast-jwt with get-jwks and cache`, ratio(remote, own), '≥', 10);
    goal(`${label}: times as fast as fast-jwt with the key given and cache`, ratio(given, own), '≥', 10);
  }
}

/**
 * @param {Issuer} options
 * @param {import('@passage-auth/testing').BadToken[]} gallery
 * @param {Record<string, Verify>} peers
 */
async function badTokens(options, gallery, peers) {
  const verifiers = { Passage: passage(options), ...peers };
  heading('Refusing a bad token, µs');
  const rows = [];
  for (const { name, reason, token } of gallery) {
    progress(`refusing: ${name}`);
    const results = await interleave(
      mapValues(verifiers, (verify) => () => refuse(verify, token)),
      9,
      0.1,
    );
    rows.push({ name, reason, results });
  }
  table(
    ['', ...Object.keys(verifiers)],
    rows.map(({ name, results }) => [
      name,
      ...Object.keys(verifiers).map((verifier) => cell(at(results, verifier))),
    ]),
  );
  const slowest = Math.max(
    ...rows
      .filter(({ reason }) => cheap.includes(reason))
      .map(({ results }) => at(results, 'Passage').median),
  );
  goal('slowest refusal without a signature check, µs', slowest, '≤', 10);
}

/**
 * @param {Issuer} options
 * @param {string[]} tokens
 */
async function memory(options, tokens) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  // As bytes, so that the only strings are those that the cache keeps.
  const bytes = tokens.map((token) => Buffer.from(token));
  const verify = passage(options, { tokenCacheSize: 2 * poolSize });
  const used = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  await verify(String(bytes[0]));
  const before = used();
  for (const token of bytes.slice(1)) await verify(token.toString('latin1'));
  const entry = (used() - before) / (bytes.length - 1);
  await verify(String(bytes[1]));
  heading('Memory of a remembered token');
  console.log(
    `${short(entry)} bytes, of which the token itself is ${tokens[1]?.length}. The default of 4,096 tokens is ${short((entry * 4096) / 2 ** 20)} MB.`,
  );
}

/**
 * @param {Verify} verify
 * @param {readonly string[]} tokens
 * @param {number} inFlight
 */
async function verifyAll(verify, tokens, inFlight) {
  if (inFlight === 1) {
    for (const token of tokens) await verify(token);
    return;
  }
  const queue = tokens.values();
  const worker = async () => {
    for (const token of queue) await verify(token);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

/**
 * Microseconds of one refusal. For about 8 ms: get-jwks fetches for every unknown key, others look at the form only.
 *
 * @param {Verify} verify
 * @param {string} token
 */
async function refuse(verify, token) {
  const start = performance.now();
  let [tries, refused] = [0, 0];
  for (; performance.now() - start < 8; tries += 1) {
    try {
      await verify(token);
    } catch {
      refused += 1;
    }
  }
  // Some leave a part of the checks to their caller.
  return refused === tries ? ((performance.now() - start) * 1000) / tries : Number.NaN;
}

/**
 * Strings of their own, as requests bring them: comparing one with itself costs nothing. Few, because a server has just read the
 * string, so it is in the processor's cache.
 *
 * @param {string[]} items
 * @param {number} length
 */
function copies(items, length) {
  return cycle(items, length).map((item) => Buffer.from(item).toString('latin1'));
}

/**
 * @param {string[]} items
 * @param {number} length
 */
function cycle(items, length) {
  return Array.from({ length }, (_, index) => items[index % items.length] ?? '');
}

/** @param {{ keys: [import('node:crypto').JsonWebKey] }} jwks */
function pemOf({ keys: [key] }) {
  return createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString();
}
