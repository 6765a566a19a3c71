import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { internalAuthenticate, internalSettle, isPassageError, requirePrincipal } from './index.ts';
import { Issuer, json, key } from './issuer.fixture.ts';

const noCredentials = {
  code: 'ERR_PASSAGE_UNAUTHENTICATED',
  status: 401,
  headers: { 'WWW-Authenticate': 'Bearer' },
};
const invalidRequest = {
  code: 'ERR_PASSAGE_INVALID_REQUEST',
  status: 400,
  headers: { 'WWW-Authenticate': 'Bearer error="invalid_request"' },
};

/** An issuer that also knows one user, and counts how often it is asked for it. */
async function startWithUser(): Promise<Issuer & { user: Record<string, unknown>; loads: () => number }> {
  const issuer = Object.assign(await Issuer.start(), {
    user: { id: 'user1', email: 'a@example.com', status: 'active' } as Record<string, unknown>,
    loads: () => issuer.requests.filter(({ url }) => url.startsWith('/api/')).length,
  });
  issuer.answer = (request, response) => {
    const body = request.url?.startsWith('/api/') ? { user: issuer.user } : { keys: [key.jwk] };
    json(body)(request, response);
  };
  return issuer;
}

describe('RFC 6750 §2.1: the Authorization header', () => {
  it.each([
    ['a record', (value: string) => ({ authorization: value })],
    ['a record in another case', (value: string) => ({ Authorization: value })],
    ['a record of lists', (value: string) => ({ authorization: [value], accept: ['*/*'] })],
    ['Fetch headers', (value: string) => new Headers({ authorization: value })],
    ['a record with a header named get', (value: string) => ({ get: 'x', authorization: value })],
  ])('is read from %s', async (_name, headers) => {
    await using issuer = await Issuer.start();
    const principal = await issuer.passage().auth.authenticate(headers(`Bearer ${await issuer.sign()}`));
    expect(principal.userId).toBe('user1');
    expect(principal.claims).toEqual(issuer.claims());
  });

  it.each(['Bearer ', 'bearer ', 'BEARER ', 'Bearer    '])('takes "%s" as the scheme', async (scheme) => {
    await using issuer = await Issuer.start();
    const headers = { authorization: scheme + (await issuer.sign()) };
    await expect(issuer.passage().auth.authenticate(headers)).resolves.toMatchObject({ userId: 'user1' });
  });

  it.each([
    ['nothing', {}],
    ['an empty header', { authorization: '' }],
    ['an undefined header', { authorization: undefined }],
    ['an empty list', { authorization: [] }],
    ['another scheme', { authorization: 'Basic dTpw' }],
    ['a scheme that begins the same', { authorization: 'Bearerx abc' }],
    ['Fetch headers without it', new Headers()],
    ['a cookie that was not asked for', { cookie: 'psg_auth_token=x' }],
  ])('is absent with %s: a challenge without an error', async (_name, headers) => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage();
    await expect(auth.authenticate(headers)).rejects.toMatchObject(noCredentials);
    await expect(auth.authenticate(headers, { optional: true })).resolves.toBeUndefined();
  });

  it.each([
    ['no token', () => ({ authorization: 'Bearer' })],
    ['a space for a token', () => ({ authorization: 'Bearer ' })],
    ['two tokens', (token: string) => ({ authorization: `Bearer ${token} ${token}` })],
    ['a tab', (token: string) => ({ authorization: `Bearer\t${token}` })],
    ['parameters', (token: string) => ({ authorization: `Bearer ${token}, realm="x"` })],
    ['a list of two', (token: string) => ({ authorization: [`Bearer ${token}`, `Bearer ${token}`] })],
    [
      'two names',
      (token: string) => ({ authorization: `Bearer ${token}`, Authorization: `Bearer ${token}` }),
    ],
    [
      'two Fetch headers',
      (token: string) =>
        new Headers([
          ['authorization', `Bearer ${token}`],
          ['authorization', `Bearer ${token}`],
        ]),
    ],
    [
      'another scheme before it',
      (token: string) =>
        new Headers([
          ['authorization', 'Basic dTpw'],
          ['authorization', `Bearer ${token}`],
        ]),
    ],
  ])('is malformed with %s, also where it is optional', async (_name, headers) => {
    await using issuer = await Issuer.start();
    const token = await issuer.sign();
    const { auth } = issuer.passage({ cookie: 'psg_auth_token' });
    const sent = headers(token);
    await expect(auth.authenticate(sent)).rejects.toMatchObject(invalidRequest);
    await expect(auth.authenticate(sent, { optional: true })).rejects.toMatchObject(invalidRequest);
    if (!(sent instanceof Headers)) {
      const withCookie = { ...sent, cookie: `psg_auth_token=${token}` };
      await expect(auth.authenticate(withCookie, { method: 'GET' })).rejects.toMatchObject(invalidRequest);
    }
  });

  it('is refused where the raw headers have two of it, of which Node keeps one', async () => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage();
    const value = `Bearer ${await issuer.sign()}`;
    const headers = { authorization: value };
    const twice = ['Host', 'localhost', 'Authorization', value, 'authorization', value];
    await expect(auth.authenticate(headers, { rawHeaders: twice })).rejects.toMatchObject(invalidRequest);
    // Function platforms fill in `headers` alone; and a value is not a name.
    for (const rawHeaders of [[], ['Authorization', value, 'X-Name', 'authorization']]) {
      await expect(auth.authenticate(headers, { rawHeaders })).resolves.toMatchObject({ userId: 'user1' });
    }
  });

  it('is read from whichever of headers and raw headers there is', async () => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({ cookie: 'psg_auth_token' });
    const token = await issuer.sign();
    const bearer = ['Host', 'localhost', 'Authorization', `Bearer ${token}`];
    for (const headers of [null, undefined, {}]) {
      await expect(auth.authenticate(headers)).rejects.toMatchObject(noCredentials);
      await expect(auth.authenticate(headers, { optional: true })).resolves.toBeUndefined();
      await expect(auth.authenticate(headers, { rawHeaders: bearer })).resolves.toMatchObject({
        userId: 'user1',
      });
      const cookie = ['Cookie', `psg_auth_token=${token}`, 'cookie', 'a=b', 'Host', 'a.example'];
      const sameOrigin = { method: 'POST', rawHeaders: [...cookie, 'Origin', 'https://a.example'] };
      await expect(auth.authenticate(headers, sameOrigin)).resolves.toMatchObject({ userId: 'user1' });
      const otherOrigin = { method: 'POST', rawHeaders: [...cookie, 'Origin', 'https://b.example'] };
      await expect(auth.authenticate(headers, otherOrigin)).rejects.toMatchObject(invalidRequest);
      const twice = { rawHeaders: [...bearer, ...bearer] };
      await expect(auth.authenticate(headers, twice)).rejects.toMatchObject(invalidRequest);
    }
    // A middleware that takes the header away has decided.
    const removed = auth.authenticate({ host: 'localhost' }, { rawHeaders: bearer });
    await expect(removed).rejects.toMatchObject(noCredentials);
    const nothing = { authorization: null as never };
    await expect(auth.authenticate(nothing)).rejects.toMatchObject(noCredentials);
    await expect(
      new Promise((resolve) =>
        internalSettle(() => internalAuthenticate({ auth }, null, { rawHeaders: null as never }), resolve),
      ),
    ).resolves.toMatchObject(noCredentials);
  });

  it.each<[string, unknown, RegExp]>([
    ['optional as a text', { optional: 'false' }, /"optional" option must be true or false/],
    ['loadUser as a number', { loadUser: 1 }, /"loadUser" option must be true or false/],
    ['a method of no text', { method: true }, /"method" option/],
    ['raw headers that are no list', { rawHeaders: {} }, /"rawHeaders" option/],
    ['a misspelled name', { optionl: true }, /"optionl" is not an option: did you mean "optional"\?/],
    ['an unknown name', { required: false }, /"required" is not an option$/],
    ['null', { optional: null }, /"optional" option must not be null/],
    ['options that are none', null, /options must be an object/],
    ['a list', [], /options must be an object/],
  ])('is not read with %s', async (_name, options, message) => {
    await using issuer = await Issuer.start();
    const outcome = issuer.passage().auth.authenticate({}, options as never);
    await expect(outcome).rejects.toThrow(TypeError);
    await expect(outcome).rejects.toThrow(message);
  });

  it('refuses a bad token, also where it is optional', async () => {
    await using issuer = await Issuer.start();
    const headers = { authorization: `Bearer ${await issuer.sign({ exp: 1 })}` };
    const expired = {
      code: 'ERR_PASSAGE_INVALID_TOKEN',
      reason: 'expired',
      headers: {
        'WWW-Authenticate': 'Bearer error="invalid_token", error_description="The token has expired"',
      },
    };
    const { auth } = issuer.passage();
    await expect(auth.authenticate(headers)).rejects.toMatchObject(expired);
    await expect(auth.authenticate(headers, { optional: true })).rejects.toMatchObject(expired);
  });

  it('does not call an outage a refusal, also where it is optional', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = json({}, 500);
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const outage = issuer.passage().auth.authenticate(headers, { optional: true });
    await expect(outage).rejects.toMatchObject({ status: 503, headers: { 'Retry-After': '1' } });
  });
});

describe('the opt-in cookie', () => {
  it.each([
    ['alone', (token: string) => `psg_auth_token=${token}`],
    ['among others', (token: string) => `a=b; psg_auth_token=${token};c=d`],
    ['quoted', (token: string) => `psg_auth_token="${token}"`],
    ['sent twice with one value', (token: string) => `psg_auth_token=${token}; psg_auth_token=${token}`],
    ['beside an empty one', (token: string) => `psg_auth_token=; psg_auth_token=${token}`],
  ])('carries the token %s', async (_name, cookie) => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({ cookie: 'psg_auth_token' });
    const token = await issuer.sign();
    for (const headers of [
      { cookie: cookie(token) },
      { cookie: [cookie(token)] },
      new Headers({ cookie: cookie(token) }),
    ]) {
      await expect(auth.authenticate(headers, { method: 'GET' })).resolves.toMatchObject({ userId: 'user1' });
    }
  });

  it.each([
    ['another name', 'xpsg_auth_token=TOKEN'],
    ['a longer name', 'psg_auth_tokenx=TOKEN'],
    ['an empty value', 'psg_auth_token='],
  ])('is absent with %s', async (_name, cookie) => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({ cookie: 'psg_auth_token' });
    const headers = { cookie: cookie.replace('TOKEN', await issuer.sign()) };
    await expect(auth.authenticate(headers, { method: 'GET' })).rejects.toMatchObject(noCredentials);
  });

  it('is refused where two values leave open which one is ours', async () => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({ cookie: 'psg_auth_token' });
    const cookie = `psg_auth_token=${await issuer.sign()}; psg_auth_token=${await issuer.sign({ sub: 'evil' })}`;
    await expect(auth.authenticate({ cookie }, { method: 'GET' })).rejects.toMatchObject(invalidRequest);
  });

  it('gives way to the header', async () => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({ cookie: 'psg_auth_token' });
    const headers = {
      authorization: `Bearer ${await issuer.sign()}`,
      cookie: `psg_auth_token=${await issuer.sign({ sub: 'other' })}`,
    };
    await expect(auth.authenticate(headers, { method: 'POST' })).resolves.toMatchObject({ userId: 'user1' });
  });

  const same = { host: 'app.example' };
  it.each([
    ['GET', 'a cross-site page', { 'sec-fetch-site': 'cross-site' }, true],
    ['HEAD', 'nowhere', {}, true],
    ['options', 'nowhere', {}, true],
    ['POST', 'the same origin', { 'sec-fetch-site': 'same-origin' }, true],
    ['POST', 'the same origin by HTTP/2', { ':authority': 'b.example', origin: 'https://b.example' }, true],
    [
      'POST',
      'the origin of Host, not of :authority',
      { ':authority': 'b.example', origin: 'https://app.example' },
      false,
    ],
    ['POST', 'the user', { 'sec-fetch-site': 'none' }, true],
    ['POST', 'the same host', { ...same, origin: 'https://app.example' }, true],
    [
      'POST',
      'the same host in another case',
      { host: 'APP.example:8080', origin: 'https://app.example:8080' },
      true,
    ],
    ['POST', 'a cross-site page', { 'sec-fetch-site': 'cross-site' }, false],
    ['POST', 'a sibling domain', { 'sec-fetch-site': 'same-site' }, false],
    [
      'POST',
      'a page that fakes Origin',
      { ...same, 'sec-fetch-site': 'cross-site', origin: 'https://app.example' },
      false,
    ],
    ['POST', 'two sites', { 'sec-fetch-site': ['same-origin', 'cross-site'] }, false],
    ['POST', 'another host', { ...same, origin: 'https://evil.example' }, false],
    ['POST', 'a host that ends the same', { ...same, origin: 'https://evil-app.example' }, false],
    ['POST', 'another port', { ...same, origin: 'https://app.example:8443' }, false],
    ['POST', 'two origins', { ...same, origin: ['https://app.example', 'https://evil.example'] }, false],
    ['POST', 'the null origin', { ...same, origin: 'null' }, false],
    ['POST', 'nowhere', same, false],
    ['POST', 'a page without a host', { origin: 'https://app.example' }, false],
    ['DELETE', 'a cross-site page', { 'sec-fetch-site': 'cross-site' }, false],
    ['TRACE', 'a cross-site page', { 'sec-fetch-site': 'cross-site' }, false],
    [undefined, 'a cross-site page', { 'sec-fetch-site': 'cross-site' }, false],
  ])('from %s by %s', async (method, _from, headers, accepted) => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({ cookie: 'psg_auth_token' });
    const cookie = `psg_auth_token=${await issuer.sign()}`;
    const result = auth.authenticate({ cookie, ...headers }, { method, optional: true });
    if (accepted) await expect(result).resolves.toMatchObject({ userId: 'user1' });
    else await expect(result).rejects.toMatchObject({ ...invalidRequest, message: /same origin/ });
  });

  it('leaves the header free of that check', async () => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({ cookie: 'psg_auth_token' });
    const headers = { authorization: `Bearer ${await issuer.sign()}`, 'sec-fetch-site': 'cross-site' };
    await expect(auth.authenticate(headers, { method: 'POST' })).resolves.toBeDefined();
  });
});

describe('the tokenSource option', () => {
  it('replaces header and cookie', async () => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({
      tokenSource: (headers) => new Headers(headers as never).get('x-token') ?? undefined,
    });
    const token = await issuer.sign();
    await expect(auth.authenticate({ 'x-token': token })).resolves.toMatchObject({ userId: 'user1' });
    await expect(auth.authenticate({ authorization: `Bearer ${token}` })).rejects.toMatchObject(
      noCredentials,
    );
  });

  it.each([undefined, null, ''])('finds nothing when it returns %j', async (nothing) => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({ tokenSource: () => nothing });
    await expect(auth.authenticate(null)).rejects.toMatchObject(noCredentials);
    await expect(auth.authenticate({}, { optional: true })).resolves.toBeUndefined();
  });

  it.each([0, false, {}, Promise.resolve('token')])('is wrong when it returns %j', async (token) => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({ tokenSource: () => token as never });
    await expect(auth.authenticate({}, { optional: true })).rejects.toThrow(/"tokenSource" option/);
  });

  it.each([undefined, null, '', 'route'])('fails the request when it throws %j', async (thrown) => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage({
      tokenSource: () => {
        throw thrown;
      },
    });
    const outcome = await new Promise((resolve) =>
      internalSettle(() => internalAuthenticate({ auth }, {}, {}), resolve),
    );
    expect(outcome).toBeTypeOf('object');
    expect(outcome).not.toBeNull();
    await expect(auth.authenticate({})).rejects.toBe(thrown);
  });
});

describe('the callback of the adapters', () => {
  it('is called at once where token and user are in memory, and later where not', async () => {
    await using issuer = await startWithUser();
    const { auth } = issuer.passage({ apiKey: 'key' });
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const ask = () => {
      let before = true;
      const outcome = new Promise((resolve) => {
        internalSettle(
          () => internalAuthenticate({ auth }, headers, { loadUser: true }),
          (error, principal) => resolve([before, error, principal?.user.email]),
        );
      });
      before = false;
      return outcome;
    };
    expect(await ask()).toEqual([false, undefined, 'a@example.com']);
    expect(await ask()).toEqual([true, undefined, 'a@example.com']);
    issuer.advance(31);
    expect(await ask()).toEqual([false, undefined, 'a@example.com']);
  });

  it('is served by a client of another copy of this package, and by one whose method a test replaced', async () => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const userIdOf = (other: typeof auth) =>
      new Promise((resolve) =>
        internalSettle(
          () => internalAuthenticate({ auth: other }, headers, {}),
          (error, principal) => resolve(error ?? principal?.userId),
        ),
      );
    const foreign = { authenticate: (...args) => auth.authenticate(...args) } as typeof auth;
    expect(await userIdOf(foreign)).toBe('user1');
    const refusal = new Error('replaced');
    auth.authenticate = (): Promise<never> => Promise.reject(refusal);
    expect(await userIdOf(auth)).toBe(refusal);
  });

  it('gets the errors: those that are known at once, and those that come later', async () => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage();
    const outcomeOf = (headers: Record<string, string>, optional = false) =>
      new Promise((resolve) =>
        internalSettle(
          () => internalAuthenticate({ auth }, headers, { optional }),
          (...outcome) => resolve(outcome),
        ),
      );
    expect(await outcomeOf({}, true)).toEqual([undefined, undefined]);
    expect(await outcomeOf({})).toEqual([expect.objectContaining(noCredentials)]);
    expect(await outcomeOf({ authorization: 'Bearer x' })).toEqual([
      expect.objectContaining({ code: 'ERR_PASSAGE_INVALID_TOKEN' }),
    ]);
    issuer.answer = json({}, 500);
    expect(await outcomeOf({ authorization: `Bearer ${await issuer.sign()}` })).toEqual([
      expect.objectContaining({ code: 'ERR_PASSAGE_UNAVAILABLE' }),
    ]);
  });
});

describe('the Principal', () => {
  it('keeps the token out of logs and JSON', async () => {
    await using issuer = await startWithUser();
    const token = await issuer.sign();
    const principal = await issuer.passage().auth.authenticate({ authorization: `Bearer ${token}` });
    expect(principal.token).toBe(token);
    const printed = inspect(principal, { depth: null, showHidden: true }) + JSON.stringify(principal);
    expect(printed).toContain('user1');
    expect(printed).not.toContain(token.slice(-20));
    expect(Object.values({ ...principal })).not.toContain(token);
  });

  it('says that the user was not loaded, and loads it once on demand', async () => {
    await using issuer = await startWithUser();
    const passage = issuer.passage();
    const principal = await passage.auth.authenticate({ authorization: `Bearer ${await issuer.sign()}` });
    expect(() => principal.user).toThrow(TypeError);
    const user = await principal.loadUser();
    expect(user).toMatchObject({ id: 'user1', email: 'a@example.com' });
    expect(principal.user).toBe(user);
    await principal.loadUser();
    expect(issuer.loads()).toBe(1);
  });

  it('tries again to load a user after a failure', async () => {
    await using issuer = await startWithUser();
    const principal = await issuer
      .passage()
      .auth.authenticate({ authorization: `Bearer ${await issuer.sign()}` });
    const good = issuer.answer;
    issuer.answer = json({}, 500);
    await expect(principal.loadUser()).rejects.toMatchObject({ status: 503 });
    expect(() => principal.user).toThrow(TypeError);
    issuer.answer = good;
    await expect(principal.loadUser()).resolves.toMatchObject({ id: 'user1' });
  });

  it('is required where a route needs it', async () => {
    await using issuer = await Issuer.start();
    const principal = await issuer
      .passage()
      .auth.authenticate({ authorization: `Bearer ${await issuer.sign()}` });
    expect(requirePrincipal({ passage: principal })).toBe(principal);
    expect(() => requirePrincipal({})).toThrow(expect.objectContaining(noCredentials));
  });
});

describe('loading the user', () => {
  it('happens by default when there is an API key, and not without', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const loading = await issuer.passage({ loadUser: undefined }).auth.authenticate(headers);
    expect(loading.user.email).toBe('a@example.com');
    const stateless = await issuer
      .passage({ loadUser: undefined, apiKey: undefined })
      .auth.authenticate(headers);
    expect(() => stateless.user).toThrow(TypeError);
    await expect(stateless.loadUser()).rejects.toThrow(/apiKey/);
  });

  it('can be chosen for each request', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const passage = issuer.passage({ loadUser: true });
    await passage.auth.authenticate(headers, { loadUser: false });
    expect(issuer.loads()).toBe(0);
    await passage.auth.authenticate(headers);
    expect(issuer.loads()).toBe(1);
  });

  it('refuses a user that is gone', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const passage = issuer.passage({ loadUser: true, jwks: { keys: [key.jwk] } });
    issuer.answer = json({ code: 'user_not_found', error: 'User not found' }, 404);
    await expect(passage.auth.authenticate(headers)).rejects.toMatchObject({
      code: 'ERR_PASSAGE_INVALID_TOKEN',
      reason: 'user',
    });
  });

  it('answers 403 for a user that is deactivated', async () => {
    await using issuer = await startWithUser();
    issuer.user.status = 'inactive';
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    await expect(issuer.passage({ loadUser: true }).auth.authenticate(headers)).rejects.toMatchObject({
      code: 'ERR_PASSAGE_USER_INACTIVE',
      status: 403,
    });
  });

  it.each([
    ['401', json({ code: 'invalid_access_token', error: 'Invalid access token' }, 401), 502],
    ['403', json({ code: 'operation_not_allowed', error: '' }, 403), 502],
    ['404 of another kind', json({ code: 'app_not_found', error: 'App not found' }, 404), 502],
    ['404 that is no answer of the API', json('nothing here', 404), 502],
    ['another user', json({ user: { id: 'user2', status: 'active' } }), 502],
    ['no user', json({}), 502],
    ['500', json({ code: 'internal_server_error', error: '' }, 500), 503],
    ['429', json({}, 429, { 'retry-after': '7' }), 503],
  ])('never shows the API answering %s as a refusal of the user', async (_name, answer, status) => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const passage = issuer.passage({ loadUser: true, jwks: { keys: [key.jwk] } });
    issuer.answer = answer;
    await expect(passage.auth.authenticate(headers)).rejects.toMatchObject({ status });
  });

  it('is remembered for 30 seconds', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const passage = issuer.passage({ loadUser: true });
    await passage.auth.authenticate(headers);
    issuer.advance(29);
    await passage.auth.authenticate(headers);
    expect(issuer.loads()).toBe(1);
    issuer.advance(1);
    await passage.auth.authenticate(headers);
    expect(issuer.loads()).toBe(2);
  });

  it('is not remembered when the memory is switched off', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const passage = issuer.passage({ loadUser: true, userCacheTtl: 0 });
    await passage.auth.authenticate(headers);
    await passage.auth.authenticate(headers);
    expect(issuer.loads()).toBe(2);
  });

  it('happens once for requests at the same time', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const passage = issuer.passage({ loadUser: true });
    await Promise.all(Array.from({ length: 50 }, () => passage.auth.authenticate(headers)));
    expect(issuer.loads()).toBe(1);
  });

  it('is not remembered after a failure', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const passage = issuer.passage({ loadUser: true, jwks: { keys: [key.jwk] } });
    const good = issuer.answer;
    issuer.answer = json({}, 500);
    await expect(passage.auth.authenticate(headers)).rejects.toMatchObject({ status: 503 });
    issuer.answer = good;
    await expect(passage.auth.authenticate(headers)).resolves.toBeDefined();
  });

  it('keeps what was loaded later, when what was asked for earlier fails', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const passage = issuer.passage({ loadUser: true, jwks: { keys: [key.jwk] } });
    const good = issuer.answer;
    let fail = () => {};
    const asked = new Promise<void>((resolve) => {
      issuer.answer = (request, response) => {
        fail = () => json({ code: 'internal_server_error', error: '' }, 501)(request, response);
        resolve();
      };
    });
    const early = expect(passage.auth.authenticate(headers)).rejects.toMatchObject({ status: 503 });
    await asked;
    issuer.answer = good;
    await passage.user.activate('user1');
    await passage.auth.authenticate(headers);
    fail();
    await early;
    const loads = issuer.loads();
    await passage.auth.authenticate(headers);
    expect(issuer.loads()).toBe(loads);
  });

  // On Workers, what a request has started stops with it, and never settles.
  it('is done anew when the request that started it is gone', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    let dying = () => {};
    let gone = false;
    const passage = issuer.passage({
      loadUser: true,
      jwks: { keys: [key.jwk] },
      fetch: async (input, init) => {
        if (!gone) return fetch(input, init);
        dying();
        return new Promise(() => {});
      },
    });
    await passage.auth.authenticate(headers, { loadUser: false });
    /** Its timers are gone, too. */
    const leave = async () => {
      gone = true;
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      await new Promise<void>((resolve) => {
        dying = resolve;
        void passage.auth.authenticate(headers);
      });
      vi.useRealTimers();
      gone = false;
    };
    await leave();
    issuer.advance(11);
    await expect(passage.auth.authenticate(headers)).resolves.toMatchObject({ userId: 'user1' });
    issuer.advance(31);
    await leave();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const waiting = Promise.all([passage.auth.authenticate(headers), passage.auth.authenticate(headers)]);
      await vi.advanceTimersByTimeAsync(10_200);
      const [principal] = await waiting;
      expect(principal.user.email).toBe('a@example.com');
    } finally {
      vi.useRealTimers();
    }
    expect(issuer.loads()).toBe(2);
  });

  it('is done anew after the client has changed the user', async () => {
    await using issuer = await startWithUser();
    const headers = { authorization: `Bearer ${await issuer.sign()}` };
    const passage = issuer.passage({ loadUser: true });
    await passage.auth.authenticate(headers);
    issuer.user.status = 'inactive';
    await passage.user.deactivate('user1');
    await expect(passage.auth.authenticate(headers)).rejects.toMatchObject({ status: 403 });
  });

  it('gives a user that no request can change for the next one', async () => {
    await using issuer = await startWithUser();
    issuer.user.user_metadata = { role: 'user' };
    const passage = issuer.passage({ loadUser: true });
    const { user } = await passage.auth.authenticate({ authorization: `Bearer ${await issuer.sign()}` });
    expect(() => Object.assign(user.userMetadata as object, { role: 'admin' })).toThrow(TypeError);
  });
});

describe('errors', () => {
  it('are whole HTTP answers', async () => {
    await using issuer = await Issuer.start();
    const error = await issuer
      .passage()
      .auth.authenticate({})
      .catch((thrown: unknown) => thrown);
    if (!isPassageError(error)) throw error;
    expect(error).toMatchObject({ name: 'UnauthenticatedError', status: 401, statusCode: 401, expose: true });
    const response = error.getResponse();
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    await expect(response.json()).resolves.toEqual({
      code: 'ERR_PASSAGE_UNAUTHENTICATED',
      error: 'Authentication is required',
    });
  });

  it('are not exposed where the fault is not the client’s', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = json({}, 500);
    const outage = issuer.passage().auth.verifyToken(await issuer.sign());
    await expect(outage).rejects.toMatchObject({ expose: false });
  });

  it('are told from others', () => {
    expect(isPassageError(new Error('x'))).toBe(false);
    expect(isPassageError({ code: 'ERR_PASSAGE_API' })).toBe(false);
    expect(isPassageError(undefined)).toBe(false);
  });
});
