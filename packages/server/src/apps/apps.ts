import { WireError } from '../errors.ts';
import type { App, Service } from '../service.ts';
import { hashApiKey } from '../storage/secrets.ts';
import { type PublicJwk, pemOf } from './keys.ts';
import { isPath, type StoredSettings } from './settings.ts';

/**
 * Finds an app. While the database does not answer, the app as last seen: its keys have to be readable then too.
 *
 * @throws {@link WireError} `app_not_found`
 */
export async function requireApp(service: Service, id: string): Promise<App> {
  const query = service.db.selectFrom('apps').selectAll().where('id', '=', id);
  const row = await query.executeTakeFirst().catch((error: unknown) => {
    const known = service.knownApps.get(id);
    if (known) return known;
    throw error;
  });
  if (!row) {
    service.knownApps.delete(id);
    throw new WireError('app_not_found');
  }
  if (!('created_at' in row)) return row;
  const settings = JSON.parse(row.settings) as StoredSettings;
  const app: App = { id: row.id, createdAt: row.created_at, settings };
  if (service.knownApps.size < 1_000) service.knownApps.set(id, app);
  return app;
}

/** Returns the app's id when the server has just one. */
export async function findOnlyApp(service: Service): Promise<string | undefined> {
  const rows = await service.db.selectFrom('apps').select('id').limit(2).execute();
  return rows.length === 1 ? rows[0]?.id : undefined;
}

/**
 * Checks an API key of the app.
 *
 * @throws {@link WireError} `invalid_access_token`
 */
export async function requireKey(
  service: Service,
  app: App,
  authorization: string | undefined,
): Promise<void> {
  const key = /^bearer +([A-Za-z0-9]{10}\.[A-Za-z0-9]{64})$/i.exec(authorization ?? '')?.[1];
  if (!key) throw new WireError('invalid_access_token');
  // Looked up by its hash: how long that takes says nothing about the key.
  const row = await service.db
    .selectFrom('api_keys')
    .select(['id', 'last_used_at'])
    .where('hash', '=', hashApiKey(key))
    .where('app_id', '=', app.id)
    .executeTakeFirst();
  if (!row) throw new WireError('invalid_access_token');
  const now = service.clock();
  if (now - (row.last_used_at ?? 0) > 60_000) {
    const update = service.db.updateTable('api_keys').set({ last_used_at: now }).where('id', '=', row.id);
    // Reading goes on while the disk is full.
    await update.execute().catch((error: Error) => {
      service.options.logger.warn({ reason: error.message }, 'Use of an API key could not be noted');
    });
  }
}

function sharedView({ id, settings }: App, keys: readonly PublicJwk[]) {
  const { otp, magicLink } = settings.authMethods;
  return {
    id,
    name: settings.name,
    auth_origin: settings.authOrigin,
    allowed_identifier: settings.allowedIdentifier,
    required_identifier: settings.requiredIdentifier,
    require_identifier_verification: settings.requireIdentifierVerification,
    require_email_verification: settings.requireIdentifierVerification,
    public_signup: settings.publicSignup,
    profile_management: settings.profileManagement,
    passage_branding: settings.passageBranding,
    // The Element prefers codes where both are on.
    auth_fallback_method: otp.enabled
      ? ('otp' as const)
      : magicLink.enabled
        ? ('magic_link' as const)
        : ('none' as const),
    auth_fallback_method_ttl: otp.enabled ? otp.ttl : magicLink.ttl,
    session_timeout_length: settings.sessionTimeoutLength,
    rsa_public_key: pemOf(keys[0]),
    redirect_url: settings.redirectUrl,
    login_url: settings.loginUrl,
    default_language: settings.defaultLanguage,
    layouts: { profile: [...settings.layouts.profile], registration: [...settings.layouts.registration] },
    user_metadata_schema: settings.userMetadataSchema.map((field) => ({
      id: field.id,
      field_name: field.fieldName,
      friendly_name: field.friendlyName,
      type: field.type,
      registration: field.registration,
      profile: field.profile,
    })),
    element_customization: { ...settings.elementCustomization },
    element_customization_dark: { ...settings.elementCustomizationDark },
  };
}

/** Returns the app as visitors see it: a method that is off has no key in `auth_methods`. */
export function publicAppView(app: App, keys: readonly PublicJwk[]) {
  const { passkeys, otp, magicLink } = app.settings.authMethods;
  return {
    ...sharedView(app, keys),
    ephemeral: false,
    auth_methods: {
      ...(passkeys.enabled && { passkeys: {} }),
      ...(otp.enabled && { otp: { ttl: otp.ttl, ttl_display_unit: 's' as const } }),
      ...(magicLink.enabled && { magic_link: { ttl: magicLink.ttl, ttl_display_unit: 's' as const } }),
    },
    social_connections: {},
  };
}

/** Returns the app as its back end sees it. */
export function appInfoView(app: App, keys: readonly PublicJwk[]) {
  const { settings } = app;
  const { passkeys, otp, magicLink } = settings.authMethods;
  return {
    ...sharedView(app, keys),
    created_at: new Date(app.createdAt).toISOString(),
    type: 'complete' as const,
    additional_auth_origins: [...settings.additionalAuthOrigins],
    allowed_callback_urls: [...settings.allowedCallbackUrls],
    allowed_logout_urls: [],
    application_login_uri: '',
    auth_methods: {
      passkeys: { enabled: passkeys.enabled },
      otp: { enabled: otp.enabled, ttl: otp.ttl, ttl_display_unit: 's' as const },
      magic_link: { enabled: magicLink.enabled, ttl: magicLink.ttl, ttl_display_unit: 's' as const },
    },
    refresh_enabled: settings.refreshEnabled,
    refresh_absolute_lifetime: settings.refreshAbsoluteLifetime,
    refresh_inactivity_lifetime: settings.refreshInactivityLifetime,
    id_token_lifetime: 600,
    hosted: false,
    hosted_subdomain: '',
    hosted_theme: 'auto' as const,
    role: '',
    auto_theme_enabled: true,
    technologies: [],
  };
}

/** True for an origin that may call the Auth API: the app's own, and the server's, where the login page is. */
export function isAllowedOrigin(service: Service, { settings }: App, origin: string): boolean {
  return (
    origin === settings.authOrigin ||
    origin === service.options.origin ||
    settings.additionalAuthOrigins.includes(origin)
  );
}

/** True where a user may be sent after login: a path, a page of the app's origins, or an exact URL of the allow-list. */
export function isAllowedRedirect({ settings }: App, target: string): boolean {
  if (isPath(target) || settings.allowedCallbackUrls.includes(target)) return true;
  if (!URL.canParse(target)) return false;
  const { origin, username, password } = new URL(target);
  const origins = [settings.authOrigin, ...settings.additionalAuthOrigins];
  return origins.includes(origin) && !username && !password;
}
