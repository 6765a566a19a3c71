import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { explainToken, internalAuthenticate } from './index.ts';
import { type Answer, Issuer, json, key, otherKey } from './issuer.fixture.ts';

const names = ['authenticate', 'keys', 'api'];
let events: [string, Record<string, unknown>][];

function listen(message: unknown, name: string | symbol): void {
  events.push([String(name), message as Record<string, unknown>]);
}

const user: Answer = json({ user: { id: 'user1', email: 'ada@example.com', status: 'active' } });

async function start(): Promise<Issuer> {
  const issuer = await Issuer.start();
  issuer.answer = (request, response) =>
    (request.url?.startsWith('/api/') ? user : json({ keys: [key.jwk] }))(request, response);
  return issuer;
}

describe('the channels', () => {
  beforeEach(() => {
    events = [];
    for (const name of names) subscribe(`passage-auth:${name}`, listen);
  });
  afterEach(() => {
    for (const name of names) unsubscribe(`passage-auth:${name}`, listen);
  });

  it('publish what was done, how it ended and how long it took', async () => {
    await using issuer = await start();
    const { auth } = issuer.passage({ loadUser: true });
    const token = await issuer.sign();
    await auth.authenticate({ authorization: `Bearer ${token}` });
    const duration = expect.any(Number);
    expect(events).toEqual([
      ['passage-auth:keys', { appId: 'app1', outcome: 'fetched', duration }],
      [
        'passage-auth:api',
        { appId: 'app1', method: 'GET', outcome: 'succeeded', reason: undefined, duration },
      ],
      ['passage-auth:authenticate', { appId: 'app1', outcome: 'authenticated', reason: undefined, duration }],
    ]);
  });

  it('publish refusals, outages and failures, and neither tokens nor addresses', async () => {
    await using issuer = await start();
    const passage = issuer.passage({ loadUser: true });
    const outcomes = async (headers: object, options = {}) => {
      events = [];
      await passage.auth.authenticate(headers as never, options).catch(() => undefined);
      return events.map(([name, { outcome, reason }]) => [
        name.replace('passage-auth:', ''),
        outcome,
        reason,
      ]);
    };
    const bearer = async (claims = {}) => ({ authorization: `Bearer ${await issuer.sign(claims)}` });
    expect(await outcomes({}, { optional: true })).toEqual([['authenticate', 'anonymous', undefined]]);
    expect(await outcomes({})).toEqual([['authenticate', 'refused', 'ERR_PASSAGE_UNAUTHENTICATED']]);
    expect(await outcomes(await bearer({ exp: 1 }))).toEqual([['authenticate', 'refused', 'expired']]);
    await outcomes(await bearer());
    issuer.answer = json({ code: 'invalid_access_token', error: 'x' }, 401);
    issuer.advance(31);
    expect(await outcomes(await bearer())).toEqual([
      ['api', 'failed', 'ERR_PASSAGE_API'],
      ['authenticate', 'failed', 'ERR_PASSAGE_API'],
    ]);
    issuer.answer = json({}, 501);
    const unknown = { authorization: `Bearer ${await issuer.sign({}, {}, otherKey)}` };
    expect(await outcomes(unknown)).toEqual([
      ['keys', 'failed', undefined],
      ['authenticate', 'unavailable', 'ERR_PASSAGE_UNAVAILABLE'],
    ]);
    const broken = issuer.passage({
      tokenSource: () => {
        throw undefined;
      },
    });
    events = [];
    // An adapter gets what is thrown at once.
    expect(() => internalAuthenticate(broken, {}, {})).toThrow();
    expect(events[0]?.[1]).toMatchObject({ outcome: 'failed', reason: undefined });
  });
});

describe('explainToken', () => {
  it.each<[string, Record<string, unknown>, Record<string, unknown>, RegExp]>([
    ['nothing wrong', {}, {}, /^The token is valid$/],
    [
      'another issuer',
      { iss: 'https://a.example' },
      {},
      /"iss".*received "https:\/\/a\.example".*PASSAGE_BASE_URL.*"issuer" \(PASSAGE_ISSUER\)/,
    ],
    ['another app', { aud: ['app2'] }, {}, /"aud".*Expected \["app1"\], received \["app2"\].*PASSAGE_APP_ID/],
    ['no audience', { aud: undefined }, {}, /received nothing/],
    ['a long audience', { aud: 'x'.repeat(1000) }, {}, /received "x{199}…\./],
    ['no user', { sub: '' }, {}, /"sub".*no user ID/],
    ['no time left', { exp: 1 }, {}, /"exp".*Refresh.*clockTolerance/],
    ['its time to come', { nbf: 9_999_999_999 }, {}, /"nbf".*clocks/],
    ['another algorithm', {}, { alg: 'HS256' }, /RS256/],
    ['another key', {}, { kid: 'other' }, /does not publish that key.*PASSAGE_AUTH_URL/],
    ['another type', {}, { typ: 'logout+jwt' }, /malformed\. Send the access token/],
  ])('names the check and the setting for a token with %s', async (_name, claims, header, text) => {
    await using issuer = await Issuer.start();
    const token = await issuer.sign(claims, header);
    const explained = await explainToken(token, issuer.options);
    expect(explained).toMatch(text);
    for (const part of token.split('.')) expect(explained).not.toContain(part);
  });

  it('explains a wrong signature, and an issuer out of reach', async () => {
    await using issuer = await Issuer.start();
    const forged = await issuer.sign({}, { kid: 'key1' }, otherKey);
    expect(await explainToken(forged, issuer.options)).toMatch(
      /signature is invalid.*another server.*PASSAGE_BASE_URL/,
    );
    issuer.answer = json({}, 500);
    expect(await explainToken(forged, issuer.options)).toMatch(/temporarily unavailable: check "baseUrl"/);
  });

  it('throws for a wrong option', async () => {
    await expect(explainToken('x', { appid: 'app1' } as never)).rejects.toThrow('did you mean "appId"');
  });
});
