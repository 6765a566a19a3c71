/**
 * What `@passage-auth/core` must do on every runtime: verify, refuse, authenticate, call the API. Uses nothing but what
 * all of them have.
 */
import { isPassageError, Passage } from '@passage-auth/core';

const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };

function encode(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

async function sign(privateKey, claims) {
  const text = new TextEncoder();
  const header = { alg: 'RS256', typ: 'JWT', kid: 'key1' };
  const input = [header, claims].map((part) => encode(text.encode(JSON.stringify(part)))).join('.');
  const signature = await crypto.subtle.sign(algorithm.name, privateKey, text.encode(input));
  return `${input}.${encode(new Uint8Array(signature))}`;
}

function check(condition, what) {
  if (!condition) throw new Error(`Failed: ${what}`);
}

export async function smoke() {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(
    { ...algorithm, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ['sign', 'verify'],
  );
  const { kty, n, e } = await crypto.subtle.exportKey('jwk', publicKey);
  const answers = {
    '/auth/v1/apps/app1/.well-known/jwks.json': {
      keys: [{ kty, n, e, kid: 'key1', alg: 'RS256', use: 'sig' }],
    },
    '/api/v1/apps/app1/users/user1': { user: { id: 'user1', status: 'active', email: 'a@example.com' } },
  };
  const requests = [];
  const passage = new Passage({
    appId: 'app1',
    apiKey: 'key',
    baseUrl: 'https://passage.example',
    fetch: async (input, init) => {
      const request = new Request(input, init);
      requests.push(request.url);
      return Response.json(answers[new URL(request.url).pathname]);
    },
  });
  check(requests.length === 0, 'nothing is sent before it is needed');

  const seconds = Math.floor(Date.now() / 1000);
  const claims = {
    sub: 'user1',
    iss: 'https://passage.example/auth/v1/apps/app1',
    aud: ['app1'],
    exp: seconds + 60,
  };
  const token = await sign(privateKey, claims);
  check((await passage.auth.validateJwt(token)) === 'user1', 'a good token is verified');

  const headers = new Headers({ authorization: `Bearer ${token}` });
  const principal = await passage.auth.authenticate(headers);
  check(principal.user.email === 'a@example.com', 'the user is attached');

  const bad = await sign(privateKey, { ...claims, aud: ['app2'] });
  const error = await passage.auth.validateJwt(bad).catch((thrown) => thrown);
  check(isPassageError(error) && error.reason === 'claim', 'a bad token is refused');
  check(error.getResponse().status === 401, 'the refusal is an HTTP answer');
  check(requests.length === 2, 'one fetch of the keys, one of the user');
}
