import { once } from 'node:events';
import { createServer } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { message } from '../../test/message.ts';
import { smtp } from './smtp.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const from = 'Acme <login@acme.example>';

async function startMailServer(options: SMTPServerOptions = {}) {
  const mails: { to: string[]; source: string }[] = [];
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    authOptional: true,
    onAuth: ({ password }, _session, done) =>
      password === 's3cret' ? done(null, { user: 'acme' }) : done(new Error('no')),
    onData(stream, { envelope }, done) {
      let source = '';
      stream.on('data', (chunk: Buffer) => {
        source += chunk;
      });
      stream.on('end', () => {
        mails.push({ to: envelope.rcptTo.map(({ address }) => address), source });
        done();
      });
    },
    ...options,
  });
  // The server reports the clients that break off.
  server.on('error', () => {});
  const listener = server.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  closers.push(() => server.close());
  const { port } = listener.address() as { port: number };
  return { mails, port, url: `smtp://127.0.0.1:${port}` };
}

describe('smtp', () => {
  it('sends text and HTML to the one address', async () => {
    const { mails, url } = await startMailServer();
    await smtp({ url, from }).send(message);
    expect(mails).toHaveLength(1);
    expect(mails[0]?.to).toEqual(['ada@example.com']);
    expect(mails[0]?.source).toContain('From: Acme <login@acme.example>');
    expect(mails[0]?.source).toContain('Subject: Your code for Acme');
    expect(mails[0]?.source).toContain('Enter this code: 739154');
    expect(mails[0]?.source).toContain('<p>739154</p>');
  });

  it('logs in with the user and password of the URL', async () => {
    const { mails, port } = await startMailServer({ authOptional: false });
    await smtp({ url: `smtp://acme:s3cret@127.0.0.1:${port}`, from }).send(message);
    expect(mails).toHaveLength(1);
    const wrong = smtp({ url: `smtp://acme:wr0ng@127.0.0.1:${port}`, from }).send(message);
    await expect(wrong).rejects.toMatchObject({ failure: 'credentials', status: 535 });
  });

  it('does not let an address name a second recipient or a header', async () => {
    const { mails, url } = await startMailServer();
    const to = 'ada@example.com, eve@evil.example';
    await smtp({ url, from })
      .send({ ...message, to, subject: 'Hello\r\nBcc: eve@evil.example' })
      .catch(() => {});
    expect(mails.flatMap((mail) => mail.to)).not.toContain('eve@evil.example');
    expect(mails.map((mail) => mail.source).join()).not.toMatch(/^Bcc:/m);
  });

  it('says that the server refused the message, in fixed words', async () => {
    const { url } = await startMailServer({
      onRcptTo: ({ address }, _session, done) => done(new Error(`${address} is 739154`)),
    });
    const error = await smtp({ url, from })
      .send(message)
      .then(undefined, (reason: Error) => reason);
    expect(error).toMatchObject({ failure: 'rejected', message: 'The delivery service refused the message' });
    expect(JSON.stringify({ ...error, stack: error?.stack, cause: error?.cause })).not.toMatch(/739154|ada@/);
  });

  it('says that the server cannot be reached', async () => {
    const { port } = await startMailServer();
    for (const close of closers.splice(0)) close();
    const send = smtp({ url: `smtp://u:s3cret@127.0.0.1:${port}`, from }).send(message);
    await expect(send).rejects.toMatchObject({ failure: 'unreachable' });
  });

  it('gives up on a server that says nothing', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    closers.push(() => silent.close());
    const { port } = silent.address() as { port: number };
    const send = smtp({ url: `smtp://127.0.0.1:${port}`, from, timeout: 50 }).send(message);
    await expect(send).rejects.toMatchObject({ failure: 'timeout' });
  });

  it('refuses a text message', async () => {
    const { mails, url } = await startMailServer();
    const send = smtp({ url, from }).send({ ...message, channel: 'phone', to: '+15005550006' });
    await expect(send).rejects.toMatchObject({ failure: 'channel' });
    expect(mails).toHaveLength(0);
  });

  it('greets with a full host name, that of the option before that of the URL', async () => {
    const names: string[] = [];
    const { url } = await startMailServer({
      onConnect: (_session, done) => done(),
      onMailFrom: (_address, session, done) => {
        names.push(session.hostNameAppearsAs);
        done();
      },
    });
    await smtp({ url, from }).send(message);
    await smtp({ url: `${url}?name=url.example`, from }).send(message);
    await smtp({ url: `${url}?name=url.example`, from, name: 'option.example' }).send(message);
    expect(names[0]).toMatch(/^[^.[\]]+\..+/);
    expect(names.slice(1)).toEqual(['url.example', 'option.example']);
  });

  it('says that the server refused the greeting, which another name may change', async () => {
    const { url } = await startMailServer({
      onConnect: (_session, done) => done(new Error('who are you')),
    });
    await expect(smtp({ url, from }).send(message)).rejects.toMatchObject({
      failure: 'greeting',
      message: expect.stringContaining('PASSAGE_SMTP_NAME'),
    });
  });

  it('tells a certificate that is not trusted from a wrong password and a server that is away', async () => {
    // Of the mail server, whose certificate is known to everybody.
    const told = vi.spyOn(console, 'error').mockImplementation(() => {});
    const secure = await startMailServer({ secure: true });
    const send = (url: string) => smtp({ url, from }).send(message);
    await expect(send(`smtps://127.0.0.1:${secure.port}`)).rejects.toMatchObject({ failure: 'certificate' });
    const upgrade = await startMailServer({ disabledCommands: [] });
    await expect(send(`${upgrade.url}?requireTLS=true`)).rejects.toMatchObject({ failure: 'certificate' });
    await send(`${upgrade.url}?requireTLS=false`);
    expect(upgrade.mails).toHaveLength(1);
    told.mockRestore();
  });

  it('says that the server does not speak TLS', async () => {
    const { port, url, mails } = await startMailServer();
    const send = (address: string) => smtp({ url: address, from }).send(message);
    await expect(send(`smtps://127.0.0.1:${port}`)).rejects.toMatchObject({ failure: 'encryption' });
    await expect(send(`${url}?requireTLS=true`)).rejects.toMatchObject({ failure: 'encryption' });
    expect(mails).toHaveLength(0);
    await send(url);
    expect(mails).toHaveLength(1);
  });

  it('reads users and passwords that are percent-encoded', async () => {
    const { mails, port } = await startMailServer({
      authOptional: false,
      onAuth: ({ password }, _session, done) =>
        password === '50%off#/@' ? done(null, { user: 'acme' }) : done(new Error('no')),
    });
    await smtp({ url: `smtp://acme:50%25off%23%2F%40@127.0.0.1:${port}`, from }).send(message);
    expect(mails).toHaveLength(1);
  });

  it('refuses options that cannot work, without quoting the password', () => {
    for (const url of ['', 'mail.example', 'https://u:s3cret@mail.example', 'smtp://']) {
      expect(() => smtp({ url, from })).toThrow(/^"url" option(?!.*s3cret)/);
    }
    expect(() => smtp({ url: 'smtp://mail.example', from: '' })).toThrow('"from" option');
    expect(() => smtp({ url: 'smtp://mail.example', from })).not.toThrow();
  });
});
