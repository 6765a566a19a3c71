import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { afterAll, describe, expect, it } from 'vitest';
import { selfSigned } from '../../test/certificate.ts';
import { describeStored } from '../../test/databases.ts';
import { built, freePort, portOf, run } from '../../test/process.ts';
import { secret } from '../../test/server.ts';
import { openStorage } from '../storage/database.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-doctor-'));
afterAll(() => rmSync(folder, { recursive: true }));

const day = 86_400_000;

async function end(args: string[], variables: Record<string, string>) {
  const one = run(args, variables, folder);
  return { code: await one.ended, output: one.output() };
}

describe.skipIf(!built)('doctor (needs a build)', () => {
  describeStored('of a database', (make) => {
    it('finds problems, and none when everything is right', async () => {
      const database = await make();
      const port = await freePort();
      const mail = new SMTPServer({ authOptional: true, disabledCommands: ['STARTTLS'] });
      await new Promise<void>((resolve) => mail.listen(0, '127.0.0.1', resolve));
      const good = {
        DATABASE_URL: database.location,
        PASSAGE_SECRET: secret,
        PASSAGE_BASE_URL: `http://localhost:${port}`,
        PASSAGE_SMTP_URL: `smtp://127.0.0.1:${(mail.server.address() as AddressInfo).port}`,
        PASSAGE_SMTP_FROM: 'login@acme.example',
      };
      const doctor = async (variables: Record<string, string> = {}) => {
        const { code, output } = await end(['doctor', '--json'], { ...good, ...variables });
        const checks = JSON.parse(output) as { name: string; state: string; text: string }[];
        const failed = checks
          .filter(({ state }) => state === 'fail')
          .map(({ name, text }) => `${name}: ${text}`);
        expect(code).toBe(failed.length > 0 ? 1 : 0);
        return { failed, ok: checks.filter(({ state }) => state === 'ok').map(({ name }) => name) };
      };
      expect((await end(['apps', 'create'], good)).code).toBe(0);
      expect((await doctor()).failed).toEqual([expect.stringMatching(/^keys of \w+: cannot be reached/)]);

      const server = run(['start', '--port', String(port)], good, folder);
      await portOf(server);
      const { failed, ok } = await doctor();
      expect(failed).toEqual([]);
      const database_checks = database.location.startsWith('postgres') ? 'clock' : 'disk';
      expect(ok).toEqual(
        expect.arrayContaining([
          'configuration',
          'secret',
          'database',
          database_checks,
          'login page',
          'delivery',
        ]),
      );
      const storage = await openStorage(database.location);
      await storage.db
        .updateTable('signing_keys')
        .set({ created_at: Date.now() - 181.5 * day })
        .execute();
      await storage.close();
      const certificate = selfSigned(new Date(Date.now() + 5.5 * day));
      const file = join(folder, 'certificate.pem');
      writeFileSync(file, certificate.cert);
      /** Runs doctor behind a proxy, and returns what it says of some checks. */
      const behind = async (variables: Record<string, string>, forwarded?: string) => {
        const proxy = createHttpsServer(certificate, async (req, res) => {
          const probe = req.headers['x-passage-probe'];
          const headers = {
            ...(forwarded && { 'X-Forwarded-For': forwarded }),
            ...(probe && { 'X-Passage-Probe': `${probe}` }),
          };
          const answer = await fetch(`http://localhost:${port}${req.url}`, { headers });
          res.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
        });
        await new Promise<void>((resolve) => proxy.listen(0, 'localhost', resolve));
        const url = `https://localhost:${(proxy.address() as AddressInfo).port}`;
        const more = { PASSAGE_BASE_URL: url, NODE_EXTRA_CA_CERTS: file, ...variables };
        const { output } = await end(['doctor', '--json'], { ...good, ...more });
        await new Promise((resolve) => proxy.close(resolve));
        const checks = JSON.parse(output) as { name: string; state: string; text: string; cure?: string }[];
        return checks.filter(({ name }) => /^(proxies|certificate|signing key of .+)$/.test(name));
      };
      const loopback = expect.stringMatching(/127\.0\.0\.1|::1/);
      const age = { state: 'warn', text: 'is 181 days old', cure: expect.stringContaining('keys rotate') };
      const expiry = { name: 'certificate', state: 'warn', text: 'of the public URL expires in 5 days' };
      expect(await behind({})).toMatchObject([age, expiry]);
      expect(await behind({ PASSAGE_SIGNING_KEY_ROTATION: '90' }, '203.0.113.7')).toMatchObject([
        { name: 'proxies', state: 'warn', text: loopback, cure: loopback },
        expiry,
      ]);
      expect((await doctor({ PASSAGE_SECRET: 'x' })).failed).toEqual([
        expect.stringContaining('PASSAGE_SECRET must be'),
      ]);
      const other = Buffer.from(secret, 'base64').reverse().toString('base64');
      expect((await doctor({ PASSAGE_SECRET: other })).failed).toEqual([
        expect.stringContaining('different secret'),
      ]);
      expect((await doctor({ PASSAGE_BASE_URL: `${good.PASSAGE_BASE_URL}/auth` })).failed).toEqual([
        expect.stringContaining('answers 404'),
        expect.stringContaining('login page: answers 404'),
      ]);
      await new Promise<void>((resolve) => mail.close(resolve));
      expect((await doctor()).failed).toEqual([
        expect.stringContaining('delivery: The delivery service cannot be reached'),
      ]);

      const made = await end(['token', 'ada@example.com'], good);
      const token = made.output.split('\n').find((line) => line.startsWith('ey')) ?? '';
      const explain = async (text: string, variables: Record<string, string> = {}) => {
        const { code, output } = await end(['doctor', 'token', text], { ...good, ...variables });
        expect(output).not.toContain(text);
        expect(output).not.toContain(text.split('.')[2] ?? text);
        return {
          code,
          failed: output
            .split('\n')
            .filter((line) => line.startsWith('fail'))
            .join('\n'),
        };
      };
      expect(await explain(token)).toEqual({ code: 0, failed: '' });
      const [header, claims = '', signature = ''] = token.split('.');
      const altered = JSON.parse(Buffer.from(claims, 'base64url').toString());
      const expired = Buffer.from(JSON.stringify({ ...altered, exp: 1, aud: ['other'] })).toString(
        'base64url',
      );
      const forged = await explain(`${header}.${expired}.${signature}`);
      expect(forged.code).toBe(1);
      expect(forged.failed).toMatch(/^fail +expiry.+\nfail +audience.+PASSAGE_APP_ID.+\nfail +signature/);
      const elsewhere = await explain(token, { PASSAGE_BASE_URL: 'https://login.example.com' });
      expect(elsewhere.failed).toMatch(/^fail +issuer +is "http:.+PASSAGE_BASE_URL/);
      expect((await explain('a.b')).failed).toContain('has 2 parts instead of 3');
      server.child.kill();
      await server.ended;
      await database.drop();
    }, 240_000);
  });
});
