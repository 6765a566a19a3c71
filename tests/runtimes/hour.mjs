/**
 * An hour in workerd, in seconds: keys are rotated, and in between come requests that leave before their work is done.
 * Whatever they have started never settles there, and must keep nobody else waiting.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';

const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
const encode = (data) => Buffer.from(data).toString('base64url');

async function createKey(kid) {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(
    { ...algorithm, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ['sign', 'verify'],
  );
  const { kty, n, e } = await crypto.subtle.exportKey('jwk', publicKey);
  return { kid, privateKey, jwk: { kty, n, e, kid, alg: 'RS256', use: 'sig' } };
}

/** An issuer with one user. It takes its time, so that who leaves at once leaves before it has answered. */
async function startIssuer(keys) {
  const server = createServer((request, response) => {
    const body = request.url.includes('/users/')
      ? { user: { id: 'user1', email: 'ada@example.com', status: 'active' } }
      : { keys: keys.map(({ jwk }) => jwk) };
    setTimeout(() => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(body));
    }, 50);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** @param {string} workerd Path of its binary. @param {string} config Path of a configuration with a socket named "http". */
async function startWorker(workerd, config) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  const child = spawn(workerd, ['serve', config, `--socket-addr=http=127.0.0.1:${port}`], {
    stdio: 'inherit',
  });
  const origin = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 100; tries += 1) {
    const answers = await fetch(`${origin}/ready`).then(
      () => true,
      () => false,
    );
    if (answers) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { child, origin };
}

function check(condition, what) {
  if (!condition) throw new Error(`Failed: ${what}`);
}

/** @param {string} workerd Path of its binary. @param {string} config Path of a configuration with a socket named "http". */
export async function hour(workerd, config) {
  const [first, second, third] = [await createKey('key1'), await createKey('key2'), await createKey('key3')];
  const keys = [first];
  const issuer = await startIssuer(keys);
  const issuerUrl = `http://127.0.0.1:${issuer.address().port}`;
  const { child, origin } = await startWorker(workerd, config);
  const start = Date.UTC(2026, 0, 1);
  let minute = 0;

  async function sign({ kid, privateKey }) {
    const seconds = start / 1000 + minute * 60;
    const iss = `${issuerUrl}/auth/v1/apps/app1`;
    const claims = { sub: 'user1', iss, aud: 'app1', exp: seconds + 900, jti: crypto.randomUUID() };
    const input = [{ alg: 'RS256', kid }, claims].map((part) => encode(JSON.stringify(part))).join('.');
    const signature = await crypto.subtle.sign(algorithm.name, privateKey, Buffer.from(input));
    return `${input}.${encode(new Uint8Array(signature))}`;
  }

  async function ask(key, leave = '') {
    const query = new URLSearchParams({ now: String(start + minute * 60_000), issuer: issuerUrl });
    const headers = { authorization: `Bearer ${await sign(key)}` };
    const signal = AbortSignal.timeout(10_000);
    const response = await fetch(`${origin}/me?${query}${leave}`, { headers, signal });
    return { status: response.status, text: await response.text() };
  }

  try {
    for (; minute <= 60; minute += 1) {
      if (minute === 20) keys.push(second);
      if (minute === 40) keys.splice(0, 1);
      // The first ones leave, also at the very start, and so do some that bring keys nobody knows.
      await ask(minute < 20 ? first : second, '&leave');
      if (minute % 7 === 0) await ask(third, '&leave');
      const signer = minute < 25 ? first : second;
      const began = performance.now();
      const answers = await Promise.all([ask(signer), ask(signer), ask(signer)]);
      for (const { status, text } of answers) {
        check(
          status === 200 && text.includes('ada@example.com'),
          `200 in minute ${minute}: ${status} ${text}`,
        );
      }
      // The key set may take its timeout of a second to be known dead, and the user its ten.
      check(performance.now() - began < 15_000, `an answer in time in minute ${minute}`);
      const old = await ask(first);
      if (minute < 40)
        check(old.status === 200, `the old key in minute ${minute}: ${old.status} ${old.text}`);
      if (minute >= 50)
        check(old.status === 401, `no old key in minute ${minute}: ${old.status} ${old.text}`);
    }
    const unknown = await ask(third);
    check(unknown.status === 401, `401 for an unknown key: ${unknown.status} ${unknown.text}`);
  } finally {
    child.kill();
    issuer.closeAllConnections();
    issuer.close();
  }
}
