import { describe, expect, it } from 'vitest';
import { languages } from '../delivery/delivery.ts';
import { findLanguage } from './language.ts';
import { type MessageContent, renderMessage } from './render.ts';

const kinds = ['otp', 'magic_link', 'verify_identifier'] as const;
const link = 'https://acme.example/login?psg_magic_link=aB3-_x&lang=en';

function content(change: Partial<MessageContent> = {}): MessageContent {
  const kind = change.kind ?? 'otp';
  const secret = kind === 'otp' ? '739154' : link;
  return {
    kind,
    channel: 'email',
    language: 'en',
    appName: 'Acme',
    secret,
    account: 'a***@e***.com',
    ttl: 300,
    ...change,
  };
}

const every = languages.flatMap((language) => kinds.map((kind) => ({ language, kind })));

describe('renderMessage', () => {
  it.each(every)('writes $kind in $language with app, secret and validity', (choice) => {
    const { subject, text, html } = renderMessage(content(choice));
    const secret = choice.kind === 'otp' ? '739154' : link;
    expect(subject).toContain('Acme');
    expect(text).toContain(`\n\n${secret}\n\n`);
    expect(text).toContain('5');
    expect(html).toContain(`<html lang="${choice.language}">`);
    expect(html).toContain(secret.replaceAll('&', '&amp;'));
    expect(`${subject}${text}${html}`).not.toMatch(/[{}]|undefined/);
  });

  it.each(every)('writes a short text message for $kind in $language', (choice) => {
    const { text, html } = renderMessage(content({ ...choice, channel: 'phone', secret: '739154' }));
    expect(text).toContain('739154');
    expect(text).toContain('Acme');
    // One message: 160 characters of GSM-7, or 70 of the others.
    expect(text.length).toBeLessThanOrEqual(70);
    expect(html).toBeUndefined();
  });

  it.each(languages)('names the account that asks for an address in %s', (language) => {
    for (const channel of ['email', 'phone'] as const) {
      const message = renderMessage(content({ kind: 'verify_identifier', language, channel }));
      expect(message.text).toContain('a***@e***.com');
      if (channel === 'email') expect(message.html).toContain('a***@e***.com');
    }
  });

  it('says the same thing in no two languages', () => {
    for (const kind of kinds) {
      const texts = languages.map((language) => renderMessage(content({ kind, language })).text);
      expect(new Set(texts).size).toBe(languages.length);
    }
  });

  it('escapes the name and the link in HTML, and only there', () => {
    const secret = 'https://acme.example/?a="><script>&b=\'';
    const { subject, text, html } = renderMessage(
      content({ kind: 'magic_link', appName: `<b>"A" & 'B'</b>`, secret }),
    );
    expect(subject).toBe(`Log in to <b>"A" & 'B'</b>`);
    expect(text).toContain(secret);
    expect(html).toContain('&lt;b&gt;&quot;A&quot; &amp; &#39;B&#39;&lt;/b&gt;');
    expect(html).toContain('href="https://acme.example/?a=&quot;&gt;&lt;script&gt;&amp;b=&#39;"');
    expect(html).not.toMatch(/<script|<b>/);
  });

  it('keeps the subject on one line', () => {
    expect(renderMessage(content({ appName: 'Acme\r\nBcc: eve@evil.example' })).subject).toBe(
      'Your code for Acme Bcc: eve@evil.example',
    );
  });

  it('takes a name for no template', () => {
    expect(renderMessage(content({ appName: '{code}' })).subject).toBe('Your code for {code}');
    expect(renderMessage(content({ appName: '$&' })).subject).toBe('Your code for $&');
  });

  it.each([
    ['en', 30, '30 seconds'],
    ['en', 60, '1 minute'],
    ['de', 300, '5 Minuten'],
    ['pl', 180, '3 minuty'],
    ['en', 5400, '90 minutes'],
    ['zh', 7200, '2小时'],
    ['en', 86_400, '24 hours'],
    ['es', 172_800, '2 días'],
  ] as const)('says in %s that %i s are “%s”', (language, ttl, expected) => {
    expect(renderMessage(content({ language, ttl })).text).toContain(expected);
  });
});

describe('findLanguage', () => {
  it('knows a tag by its first part', () => {
    expect(['de', 'pt-BR', 'zh_Hans', 'EN-us'].map(findLanguage)).toEqual(['de', 'pt', 'zh', 'en']);
    expect(['', 'fr', 'dex', '-de'].map(findLanguage)).toEqual(Array(4).fill(undefined));
  });
});
