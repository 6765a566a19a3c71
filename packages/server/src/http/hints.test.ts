import { expect, it } from 'vitest';
import { baseUrl, origin, TestServer } from '../../test/server.ts';

const memory = async () => ({ location: ':memory:', drop: async () => {} });
const warnings = ({ log }: TestServer, text: string) => log.filter((line) => line.startsWith(text)).length;

it('warns once a minute of an origin that the app does not list, and names the settings', async () => {
  await using server = await TestServer.start(memory);
  const text = 'A page of an origin that the app does not list';
  const stranger = { headers: { Origin: 'https://app.example.org' } };
  await server.auth('GET', '', undefined, { headers: { Origin: origin } });
  expect(warnings(server, text)).toBe(0);
  for (let count = 0; count < 3; count++) {
    await server.auth('GET', '', undefined, stranger);
    await server.auth('OPTIONS', '/login/otp', undefined, stranger);
    await server.auth('POST', '/login/otp', { identifier: 'ada@example.com' }, stranger);
  }
  expect(warnings(server, text)).toBe(1);
  expect(server.log.join()).toMatch(/"authOrigin".*"origin":"https:\/\/app\.example\.org"/);
  server.advance(61);
  await server.auth('GET', '', undefined, stranger);
  expect(warnings(server, text)).toBe(2);
});

it('warns of a proxy that strips the path of the server', async () => {
  await using server = await TestServer.start(memory);
  const text = 'A request lacks the path of "baseUrl"';
  const { origin: host } = new URL(baseUrl);
  const answer = async (path: string) => (await server.server.fetch(new Request(host + path))).status;
  expect(await answer('/favicon.ico')).toBe(404);
  expect(warnings(server, text)).toBe(0);
  expect(await answer(`/auth/v1/apps/${server.appId}`)).toBe(404);
  expect(await answer('/login')).toBe(404);
  expect(warnings(server, text)).toBe(1);
});
