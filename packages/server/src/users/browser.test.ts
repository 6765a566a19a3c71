import { expect, it } from 'vitest';
import { TestServer } from '../../test/server.ts';

const webkit = 'AppleWebKit/537.36 (KHTML, like Gecko)';
const mac = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)';

it.each([
  ['Chrome on Windows', `Mozilla/5.0 (Windows NT 10.0) ${webkit} Chrome/140.0.0.0 Safari/537.36`],
  ['Chrome on Linux', `Mozilla/5.0 (X11; Linux x86_64) ${webkit} HeadlessChrome/140.0.0.0 Safari/537.36`],
  ['Edge on macOS', `${mac} ${webkit} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0`],
  ['Opera on Android', `Mozilla/5.0 (Linux; Android 15) ${webkit} Chrome/140.0.0.0 Safari/537.36 OPR/90.0`],
  ['Firefox on Linux', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ['Safari on macOS', `${mac} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15`],
  ['Chrome on iPhone', 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140.0 Safari/604.1'],
  ['iPad', 'an app of its own (iPad)'],
  ['', 'curl/8.0'],
])('calls a browser "%s"', async (name, userAgent) => {
  await using server = await TestServer.start(async () => ({ location: ':memory:', drop: async () => {} }));
  const link = await server.createLink('ada@example.com');
  const headers = { 'User-Agent': userAgent };
  await server.auth('PATCH', '/magic-link/activate', { magic_link: link.secret }, { headers });
  const { body } = await server.manage('GET', `/users/${link.user_id}`);
  expect(body.user.recent_events[0].user_agent_display).toBe(name);
});
