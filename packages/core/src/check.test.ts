import { startPassage } from '@passage-auth/testing';
import { describe, expect, it } from 'vitest';
import { Passage, type PassageOptions } from './index.ts';
import { type Answer, Issuer, json, key } from './issuer.fixture.ts';

describe('passage.check', () => {
  it('asks for the keys and the app once each, and resolves where both answer', async () => {
    await using server = await startPassage();
    await expect(new Passage(server.options).check()).resolves.toBeUndefined();
    expect(server.requests).toEqual({ jwks: 1, api: 1 });
  });

  it('asks for what is in use only', async () => {
    await using server = await startPassage();
    await new Passage({ ...server.options, apiKey: undefined }).check();
    expect(server.requests).toEqual({ jwks: 1, api: 0 });
    await new Passage({ ...server.options, jwks: { keys: [] } }).check();
    expect(server.requests).toEqual({ jwks: 1, api: 1 });
  });

  it('names the API key when the API refuses it', async () => {
    await using server = await startPassage();
    const passage = new Passage({ ...server.options, apiKey: 'wrong.key' });
    const refusal = { code: 'ERR_PASSAGE_API', apiStatus: 401, message: /PASSAGE_API_KEY.*"apiKey"/ };
    const error = await passage.check().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ ...refusal, message: expect.stringMatching(refusal.message) });
    const { token } = await server.signIn(await server.createUser());
    const request = passage.auth.authenticate({ authorization: `Bearer ${token}` });
    await expect(request).rejects.toThrow(refusal.message);
  });

  it.each<[string, PassageOptions, RegExp]>([
    ['another app', { appId: 'unknown' }, /No keys.*PASSAGE_APP_ID.*PASSAGE_AUTH_URL/],
    ['another path', { authUrl: 'elsewhere' }, /No keys.*"baseUrl"/],
    ['another path of the API', { apiUrl: 'elsewhere' }, /does not know.*PASSAGE_API_URL/],
  ])('names the options to check for %s', async (_name, options, message) => {
    await using server = await startPassage();
    const { appId, apiKey, baseUrl, fetch } = server.options;
    const wrong = Object.entries(options).map(([name, value]) => [
      name,
      name.endsWith('Url') ? `${baseUrl}/${value}` : value,
    ]);
    const passage = new Passage({ appId, apiKey, baseUrl, fetch, ...Object.fromEntries(wrong) });
    await expect(passage.check()).rejects.toThrow(TypeError);
    await expect(passage.check()).rejects.toThrow(message);
  });

  it.each<[string, Answer]>([
    ['no JSON', (_request, response) => response.end('<html>')],
    ['no key set', json({})],
    ['no key that could verify a token', json({ keys: [{ ...key.jwk, use: 'enc' }] })],
  ])('does not take %s for keys', async (_name, answer) => {
    await using issuer = await Issuer.start();
    issuer.answer = answer;
    await expect(issuer.passage({ apiKey: undefined }).check()).rejects.toThrow(/No keys/);
  });

  it.each<[string, Answer]>([
    ['nobody answers', (request) => request.socket.destroy()],
    ['the issuer is out of order', json({}, 500)],
    ['the issuer asks to wait', json({}, 429)],
  ])('is unavailable, and not wrong, while %s', async (_name, answer) => {
    await using issuer = await Issuer.start();
    issuer.answer = answer;
    await expect(issuer.passage({ apiKey: undefined }).check()).rejects.toMatchObject({
      code: 'ERR_PASSAGE_UNAVAILABLE',
    });
  });

  it('is unavailable while the API is', async () => {
    await using server = await startPassage();
    using _fault = server.fault('api', { status: 500 });
    await expect(new Passage(server.options).check()).rejects.toMatchObject({ status: 503 });
  });

  it('is not misled by what it has seen before', async () => {
    await using server = await startPassage();
    const passage = new Passage(server.options);
    await passage.check();
    using _fault = server.fault('jwks', 'unreachable');
    await expect(passage.check()).rejects.toMatchObject({ status: 503 });
  });

  it('ends when its signal says so', async () => {
    await using issuer = await Issuer.start();
    const aborter = new AbortController();
    const reason = new Error('no longer needed');
    issuer.answer = () => aborter.abort(reason);
    await expect(issuer.passage().check({ signal: aborter.signal })).rejects.toBe(reason);
  });
});
