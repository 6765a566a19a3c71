import { describe, expect, it } from 'vitest';
import { message } from '../../test/message.ts';
import { outbox } from './outbox.ts';

describe('outbox', () => {
  it('prints to whom, what and the code, and keeps the message', async () => {
    const lines: string[] = [];
    const box = outbox({ print: (line) => lines.push(line), clock: () => 1_000 });
    await box.send(message);
    expect(lines).toEqual(['[outbox] Code for ada@example.com: 739154']);
    expect(box.messages).toEqual([{ ...message, sentAt: new Date(1_000) }]);
  });

  it('prints the link of a message that has one', async () => {
    const lines: string[] = [];
    const { code: _, ...rest } = message;
    const url = 'https://acme.example/login?psg_magic_link=s3cret';
    await outbox({ print: (line) => lines.push(line) }).send({ ...rest, kind: 'magic_link', url });
    expect(lines).toEqual([`[outbox] Login link for ada@example.com: ${url}`]);
  });

  it('keeps the newest messages up to its limit', async () => {
    const box = outbox({ limit: 2, print: false });
    for (const to of ['a@x.example', 'b@x.example', 'c@x.example']) await box.send({ ...message, to });
    expect(box.messages.map(({ to }) => to)).toEqual(['b@x.example', 'c@x.example']);
  });

  it('lets no control character of an address reach the terminal', async () => {
    const lines: string[] = [];
    await outbox({ print: (line) => lines.push(line) }).send({ ...message, to: 'a\u001b[2J\n@x.example' });
    expect(lines).toEqual(['[outbox] Code for a\u{fffd}[2J\u{fffd}@x.example: 739154']);
  });
});
