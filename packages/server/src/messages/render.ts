import type { Language, Message } from '../delivery/delivery.ts';
import { renderHtml } from './html.ts';
import { texts } from './texts.ts';

export interface MessageContent {
  kind: Message['kind'];
  channel: Message['channel'];
  language: Language;
  appName: string;
  /** The code of an `otp`, the link of the other kinds. */
  secret: string;
  /** Masked address of the account that asked, for `verify_identifier`. */
  account?: string | undefined;
  /** How long the code or link is good, in seconds. */
  ttl: number;
}

/** Writes the texts of a message in its language. A text message is one short line and has no HTML. */
export function renderMessage(content: MessageContent): Pick<Message, 'subject' | 'text' | 'html'> {
  const { kind, channel, language, secret } = content;
  const { valid, ignore, ...kinds } = texts[language];
  const { intro, action, sms } = kinds[kind];
  // One line: the name goes into a header of the mail.
  const app = content.appName.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  const values: Record<string, string> = {
    app,
    code: secret,
    account: content.account ?? '',
    duration: duration(content.ttl, language),
  };
  const fill = (text: string) => text.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');

  const subject = fill(kinds[kind].subject);
  if (channel === 'phone') return { subject, text: fill(sms) };
  const paragraphs = { intro: fill(intro), validity: fill(valid), ignore };
  const main = action ? { link: { url: secret, label: action } } : { code: secret };
  return {
    subject,
    text: `${paragraphs.intro}\n\n${secret}\n\n${paragraphs.validity}\n\n${ignore}\n`,
    html: renderHtml({ language, title: subject, ...paragraphs, ...main }),
  };
}

/** Names a span of time in the largest unit that it fills twice, or in minutes, rounded down: never longer than it is. */
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
