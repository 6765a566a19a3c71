import type { CallApi, CallOptions } from './api.ts';
import { requireSegment, requireText } from './arguments.ts';
import { type MagicLink, MagicLinkChannel, type MagicLinkLanguage, type MagicLinkType } from './models.ts';
import { fromWire } from './wire.ts';

interface MagicLinkArgs {
  /** Default is `login`. */
  type?: MagicLinkType | undefined;
  /** Whether the server delivers the link; otherwise the caller does, from `url`. Default is false. */
  send?: boolean | undefined;
}

/** Recipient of a magic link: an email address, a phone number in E.164, or an existing user. */
export type CreateMagicLinkArgs = MagicLinkArgs &
  ({ email: string } | { phone: string } | { userId: string; channel: MagicLinkChannel });

/** Details of a magic link. */
export interface MagicLinkOptions extends CallOptions {
  /** Language of the message. Default is the app's. */
  language?: MagicLinkLanguage | undefined;
  /** Path of the page that activates the link, relative to the app's origin. Default is the app's `loginUrl`. */
  magicLinkPath?: string | undefined;
  /** Where to go after the login. Default is the app's `redirectUrl`. */
  redirectUrl?: string | undefined;
  /** Lifetime of the link, in whole minutes. Default is the server's. */
  ttl?: number | undefined;
}

/** Creates a magic link. @internal */
export async function createMagicLink(
  call: CallApi,
  args: CreateMagicLinkArgs,
  { signal, ...options }: MagicLinkOptions,
): Promise<MagicLink> {
  const body = {
    ...toRecipient(args),
    type: args.type ?? 'login',
    send: args.send ?? false,
    language: options.language,
    magic_link_path: options.magicLinkPath,
    redirect_url: options.redirectUrl,
    ttl: toMinutes(options.ttl),
  };
  return fromWire(await call('POST', ['magic-links'], { body, envelope: 'magic_link', signal })) as MagicLink;
}

function toRecipient(args: Partial<Record<'email' | 'phone' | 'userId' | 'channel', string>>) {
  const { email, phone, userId, channel } = args;
  if ([email, phone, userId].filter((recipient) => recipient !== undefined).length !== 1) {
    throw new TypeError('Exactly one of args.email, args.phone and args.userId is required');
  }
  if (email !== undefined) {
    requireText('email', email);
    return { email, channel: MagicLinkChannel.Email };
  }
  if (phone !== undefined) {
    requireText('phone', phone);
    return { phone, channel: MagicLinkChannel.Phone };
  }
  requireSegment('userId', userId);
  requireText('channel', channel);
  return { user_id: userId, channel };
}

function toMinutes(ttl: number | undefined): number | undefined {
  if (ttl !== undefined && !(Number.isInteger(ttl) && ttl >= 1)) {
    throw new TypeError('"ttl" must be a whole number of minutes, at least 1');
  }
  return ttl;
}
