/**
 * Shapes on the wire. They validate requests, type the handlers, and form the OpenAPI document.
 *
 * @module
 */

import { z } from 'zod';
import { languages } from '../delivery/delivery.ts';

const time = z.iso.datetime();
const id = z.string();

const userStatus = z.enum(['active', 'inactive', 'pending']);
const webauthnType = z.enum(['passkey', 'security_key', 'platform']);
const language = z.enum(languages);
export const metadata = z.record(z.string(), z.unknown());

/** Identifiers are validated elsewhere, with the error texts of the original service. This only limits their length. */
const text = z.string().max(1_000);

export const device = z
  .object({
    id,
    cred_id: z.string(),
    user_id: z.string(),
    friendly_name: z.string(),
    type: webauthnType,
    usage_count: z.int(),
    created_at: time,
    updated_at: time,
    last_login_at: time,
    icons: z.object({ light: z.string().nullable(), dark: z.string().nullable() }),
  })
  .meta({ id: 'Device' });

export const socialConnections = z.object({}).meta({ id: 'SocialConnections' });

export const publicUser = z
  .object({
    id,
    email: z.string(),
    email_verified: z.boolean(),
    phone: z.string(),
    phone_verified: z.boolean(),
    status: userStatus,
    user_metadata: metadata.nullable(),
    webauthn: z.boolean(),
    webauthn_types: z.array(webauthnType),
  })
  .meta({ id: 'PublicUser' });

export const currentUser = publicUser
  .extend({
    created_at: time,
    updated_at: time,
    last_login_at: time,
    login_count: z.int(),
    social_connections: socialConnections,
    webauthn_devices: z.array(device),
  })
  .meta({ id: 'CurrentUser' });

export const listedUser = z
  .object({
    id,
    created_at: time,
    updated_at: time,
    last_login_at: time,
    email: z.string(),
    email_verified: z.boolean(),
    phone: z.string(),
    phone_verified: z.boolean(),
    external_id: z.string(),
    login_count: z.int(),
    status: userStatus,
    user_metadata: metadata.nullable(),
  })
  .meta({ id: 'ListedUser' });

const recentEvent = z
  .object({
    id,
    created_at: time,
    completed_at: time.nullable(),
    type: z.string(),
    action: z.enum(['register', 'login', 'other']),
    status: z.enum(['complete', 'incomplete']),
    ip_addr: z.string(),
    user_agent: z.string(),
    user_agent_display: z.string(),
    social_login_type: z.enum(['apple', 'github', 'google']).nullable(),
  })
  .meta({ id: 'UserRecentEvent' });

export const passageUser = listedUser
  .extend({
    webauthn: z.boolean(),
    webauthn_devices: z.array(device),
    webauthn_types: z.array(webauthnType),
    recent_events: z.array(recentEvent),
    social_connections: socialConnections,
  })
  .meta({ id: 'PassageUser' });

export const authResult = z
  .object({
    auth_token: z.string(),
    redirect_url: z.string(),
    refresh_token: z.string().optional(),
    refresh_token_expiration: z.int().optional(),
  })
  .meta({ id: 'AuthResult' });

export const magicLink = z
  .object({
    id,
    app_id: z.string(),
    user_id: z.string(),
    identifier: z.string(),
    type: z.enum(['login', 'verify_identifier']),
    activated: z.boolean(),
    secret: z.string(),
    ttl: z.int(),
    url: z.string(),
    redirect_url: z.string(),
  })
  .meta({ id: 'MagicLink' });

const customization = z.record(z.string(), z.union([z.string(), z.number()]));
const layout = z.array(z.object({ id, h: z.int(), w: z.int(), x: z.int(), y: z.int() }));
const ttlUnit = z.enum(['s', 'm', 'h', 'd']);
const timed = z.object({ ttl: z.int(), ttl_display_unit: ttlUnit });

const sharedApp = {
  id,
  name: z.string(),
  auth_origin: z.string(),
  allowed_identifier: z.enum(['email', 'phone', 'both']),
  required_identifier: z.enum(['email', 'phone', 'both', 'either']),
  require_identifier_verification: z.boolean(),
  require_email_verification: z.boolean(),
  public_signup: z.boolean(),
  profile_management: z.boolean(),
  passage_branding: z.boolean(),
  auth_fallback_method: z.enum(['magic_link', 'otp', 'none']),
  auth_fallback_method_ttl: z.int(),
  session_timeout_length: z.int(),
  rsa_public_key: z.string(),
  redirect_url: z.string(),
  login_url: z.string(),
  default_language: z.string(),
  layouts: z.object({ profile: layout, registration: layout }),
  user_metadata_schema: z.array(
    z.object({
      id,
      field_name: z.string(),
      friendly_name: z.string(),
      type: z.enum(['string', 'boolean', 'integer', 'date', 'phone', 'email']),
      registration: z.boolean(),
      profile: z.boolean(),
    }),
  ),
  element_customization: customization,
  element_customization_dark: customization,
};

export const publicApp = z
  .object({
    ...sharedApp,
    ephemeral: z.boolean(),
    auth_methods: z.object({
      passkeys: z.object({}).optional(),
      otp: timed.optional(),
      magic_link: timed.optional(),
    }),
    social_connections: socialConnections,
  })
  .meta({ id: 'App' });

export const appInfo = z
  .object({
    ...sharedApp,
    created_at: time,
    type: z.enum(['complete', 'flex']),
    additional_auth_origins: z.array(z.string()),
    allowed_callback_urls: z.array(z.string()),
    allowed_logout_urls: z.array(z.string()),
    application_login_uri: z.string(),
    auth_methods: z.object({
      passkeys: z.object({ enabled: z.boolean() }),
      otp: timed.extend({ enabled: z.boolean() }),
      magic_link: timed.extend({ enabled: z.boolean() }),
    }),
    refresh_enabled: z.boolean(),
    refresh_absolute_lifetime: z.int(),
    refresh_inactivity_lifetime: z.int(),
    id_token_lifetime: z.int(),
    hosted: z.boolean(),
    hosted_subdomain: z.string(),
    hosted_theme: z.enum(['auto', 'light', 'dark']),
    role: z.string(),
    auto_theme_enabled: z.boolean(),
    technologies: z.array(z.string()),
  })
  .meta({ id: 'AppInfo' });

export const handshake = z
  .object({ id, challenge: z.object({ publicKey: z.record(z.string(), z.unknown()) }) })
  .meta({ id: 'Handshake' });

const base64url = z
  .string()
  .regex(/^[\w-]*$/, 'must be base64url without padding')
  .max(60_000);

export const attestation = z
  .object({
    id: base64url,
    rawId: base64url,
    type: z.literal('public-key'),
    response: z.object({
      attestationObject: base64url,
      clientDataJSON: base64url,
      transports: z.array(text).max(10).nullish(),
    }),
    transports: z.array(text).max(10).nullish(),
  })
  .meta({ id: 'CredentialCreationResponse' });

export const assertion = z
  .object({
    id: base64url,
    rawId: base64url,
    type: z.literal('public-key'),
    response: z.object({
      authenticatorData: base64url,
      clientDataJSON: base64url,
      signature: base64url,
      userHandle: z.string().max(1_000).nullish(),
    }),
  })
  .meta({ id: 'CredentialAssertionResponse' });

/** A member that official SDKs of 2022 to 2024 send empty if it was not set. */
function orEmpty<Value>(schema: z.ZodType<Value>, empty: '' | 0 = '') {
  return z.preprocess((value) => (value === empty ? undefined : value), schema.optional());
}

export const bodies = {
  identifier: z.object({ identifier: text, user_metadata: metadata.optional() }),
  registerStart: z.object({
    identifier: text,
    authenticator_attachment: z.enum(['platform', 'cross-platform', 'any']).optional(),
  }),
  registerFinish: z.object({ handshake_id: text, handshake_response: attestation, user_id: text }),
  loginStart: z.object({ identifier: text.optional() }),
  loginFinish: z.object({ handshake_id: text, handshake_response: assertion, user_id: text.optional() }),
  code: z.object({ identifier: text, language: text.optional() }),
  codeActivate: z.object({ otp: text, otp_id: text }),
  link: z.object({ identifier: text, language: text.optional(), magic_link_path: text.optional() }),
  linkActivate: z.object({ magic_link: text }),
  linkStatus: z.object({ id: text }),
  refresh: z.object({ refresh_token: text }),
  deviceStart: z.object({
    authenticator_attachment: z.enum(['platform', 'cross-platform', 'any']).optional(),
  }),
  deviceRename: z.object({
    friendly_name: z
      .string()
      .trim()
      .min(1, 'cannot be blank')
      .max(64)
      .regex(/^\P{Cc}*$/u),
  }),
  newEmail: z.object({
    new_email: text,
    language: text.optional(),
    magic_link_path: text.optional(),
    redirect_url: text.optional(),
  }),
  newPhone: z.object({
    new_phone: text,
    language: text.optional(),
    magic_link_path: text.optional(),
    redirect_url: text.optional(),
  }),
  metadata: z.object({ user_metadata: metadata }),
  userArgs: z.object({ email: text.optional(), phone: text.optional(), user_metadata: metadata.optional() }),
  magicLink: z.object({
    email: text.optional(),
    phone: text.optional(),
    user_id: text.optional(),
    channel: orEmpty(z.enum(['email', 'phone'])),
    send: z.boolean().optional(),
    type: orEmpty(z.enum(['login', 'verify_identifier'])),
    language: orEmpty(language),
    magic_link_path: text.optional(),
    redirect_url: text.optional(),
    ttl: orEmpty(z.int().min(1).max(10_080), 0),
  }),
};
