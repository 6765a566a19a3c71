import type { Language, Message, Notice, NoticeKind, SecretKind } from '../delivery/delivery.ts';
import { renderHtml } from './html.ts';
import { noticeTexts } from './noticetexts.ts';
import { texts } from './texts.ts';

type Rendered = Pick<Message, 'subject' | 'text' | 'html'>;

export interface MessageContent {
  kind: SecretKind;
  channel: Message['channel'];
  language: Language;
  appName: string;
  /** The code of an `otp`, the link of the other kinds. */
  secret: string;
  /** Masked address of the account that asked, for `verify_identifier`. */
  account?: string | undefined;
  /** How long the code or link is valid, in seconds. */
  ttl: number;
}

/** Writes the texts of a code or link in its language. A text message is one short line and has no HTML. */
export function renderMessage(content: MessageContent): Rendered {
  const { kind, channel, language, secret, account = '' } = content;
  const { valid, ignore, ...kinds } = texts[language];
  const { subject, intro, action, sms } = kinds[kind];
  const values = { code: secret, account, duration: duration(content.ttl, language) };
  const fill = filler(content.appName, values);
  if (channel === 'phone') return { subject: fill(subject), text: fill(sms) };
  const mail = { language, title: fill(subject), intro: fill(intro), detail: fill(valid), footer: ignore };
  const main = action ? { link: { url: secret, label: action } } : { code: secret };
  return {
    subject: mail.title,
    text: `${mail.intro}\n\n${secret}\n\n${mail.detail}\n\n${ignore}\n`,
    html: renderHtml({ ...mail, main }),
  };
}

export interface NoticeContent {
  kind: NoticeKind;
  channel: Message['channel'];
  language: Language;
  appName: string;
  notice: Notice;
}

/** Writes the texts of a notice in its language. */
export function renderNotice({ kind, channel, language, appName, notice }: NoticeContent): Rendered {
  const { things, unexpected, ...kinds } = noticeTexts[language];
  const { subject, intro, sms, advice = unexpected } = kinds[kind];
  const removed = (notice.removed ?? []).map((thing) => things[thing]);
  const list = new Intl.ListFormat(language, { type: 'conjunction' }).format(removed);
  const fill = filler(appName, { address: notice.address ?? '', removed: list });
  if (channel === 'phone') return { subject: fill(subject), text: fill(sms) };
  const format = { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' } as const;
  const time = `${new Intl.DateTimeFormat(language, format).format(notice.at)} UTC`;
  const mail = {
    language,
    title: fill(subject),
    intro: fill(intro),
    detail: notice.browser ? `${time} · ${notice.browser}` : time,
    footer: fill(advice),
  };
  return {
    subject: mail.title,
    text: `${mail.intro}\n\n${mail.detail}\n\n${mail.footer}\n`,
    html: renderHtml(mail),
  };
}

/** Returns a function that puts values into texts. Placeholders in values are not replaced. */
function filler(appName: string, values: Readonly<Record<string, string>>): (text: string) => string {
  // One line: the name goes into a header of the mail.
  const app = appName.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  const all: Readonly<Record<string, string>> = { ...values, app };
  return (text) => text.replace(/\{(\w+)\}/g, (_, name: string) => all[name] ?? '');
}

/** Names a span of time in the largest unit that it fills twice, or in minutes. It is rounded down, so that it never promises too much. */
function duration(seconds: number, language: Language): string {
  const [unit, size] =
    seconds >= 2 * 86_400
      ? (['day', 86_400] as const)
      : seconds >= 2 * 3_600
        ? (['hour', 3_600] as const)
        : seconds >= 60
          ? (['minute', 60] as const)
          : (['second', 1] as const);
  const format = { style: 'unit', unit, unitDisplay: 'long' } as const;
  return new Intl.NumberFormat(language, format).format(Math.floor(seconds / size));
}
