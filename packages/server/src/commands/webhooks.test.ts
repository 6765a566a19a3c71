import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { describeStored } from '../../test/databases.ts';
import { built, run } from '../../test/process.ts';
import { startReceiver, webhookSecret } from '../../test/receiver.ts';
import { secret, TestServer } from '../../test/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-webhooks-'));
afterAll(() => rmSync(folder, { recursive: true }));

const variables = { PASSAGE_SECRET: secret, PASSAGE_BASE_URL: 'http://localhost:3000' };

async function end(args: string[], more: Record<string, string>) {
  const one = run(args, { ...variables, ...more }, folder);
  return { code: await one.ended, output: one.output() };
}

describe.skipIf(!built)('webhooks (needs a build)', () => {
  describeStored('beside a server', (make) => {
    it('lists events, and sends them again', async () => {
      let status = 500;
      await using receiver = await startReceiver(() => status);
      const database = await make();
      await using passage = await TestServer.start(async () => database, {
        eventWebhook: { url: receiver.url, secret: webhookSecret },
      });
      const of = (...args: string[]) => end(['webhooks', ...args], { DATABASE_URL: database.location });
      const list = async (...args: string[]) => JSON.parse((await of('list', ...args, '--json')).output);
      const id = (await passage.manage('POST', '/users', { email: 'ada@example.com' })).body.user.id;
      await passage.server.runScheduled();
      expect(await list('--state', 'waiting', '--type', 'user', '--user', id)).toMatchObject([
        { type: 'user.created', appId: passage.appId, userId: id, tries: 1, answer: 'status 500' },
      ]);
      for (let tries = 0; tries < 40; tries++) {
        passage.advance(7_200);
        await passage.server.runScheduled();
      }
      const [failed] = await list(passage.appId, '--state', 'failed');
      expect(failed).toMatchObject({ type: 'user.created', nextTry: null });
      status = 204;
      const seen = receiver.arrivals.length;
      expect((await of('resend', '--failed')).output).toBe('1 events will be sent again.\n');
      // The clock of the command may be behind that of the test, never ahead.
      await passage.server.runScheduled();
      expect(receiver.arrivals).toHaveLength(seen + 1);
      expect((await of('resend', failed.id)).code).toBe(0);
      await passage.server.runScheduled();
      expect(receiver.arrivals.slice(seen).map((one) => one.id)).toEqual([failed.id, failed.id]);
      expect(await list('--state', 'sent')).toHaveLength(1);
      expect((await of('resend', 'evt_none')).output).toContain('No event has the ID evt_none');
    }, 120_000);
  });

  it('test posts a signed event, and says what comes back', async () => {
    let status = 200;
    await using receiver = await startReceiver(() => status);
    const configured = {
      PASSAGE_EVENT_WEBHOOK_URL: receiver.url,
      PASSAGE_EVENT_WEBHOOK_SECRET: webhookSecret,
    };
    expect(await end(['webhooks', 'test'], configured)).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^The event evt_\w+ was accepted\.\n$/),
    });
    expect(receiver.arrivals).toMatchObject([{ event: { type: 'test', data: {} } }]);
    status = 403;
    expect((await end(['webhooks', 'test'], configured)).output).toContain(
      'was not accepted (status 403): check',
    );
    expect((await end(['doctor'], configured)).output).toMatch(/ok +event webhook +answers/);
    const away = { ...configured, PASSAGE_EVENT_WEBHOOK_URL: 'http://127.0.0.1:1/' };
    expect((await end(['doctor'], away)).output).toMatch(/fail +event webhook +does not answer: unreachable/);
    expect((await end(['webhooks', 'test'], {})).output).toContain('set PASSAGE_EVENT_WEBHOOK_URL and');
  }, 120_000);

  it.each([
    [['list', '--state', 'lost'], '--state must be waiting, sent or failed'],
    [['list', '--type', 'user.craeted'], 'did you mean "user.created"?'],
    [['resend'], 'see passage-server webhooks list'],
    [['resend', 'evt_1', '--failed'], 'see passage-server webhooks list'],
  ])(
    'refuses %j and says what to do',
    async (args, message) => {
      const { code, output } = await end(['webhooks', ...args], {});
      expect(code).toBe(1);
      expect(output).toContain(message);
    },
    60_000,
  );
});
