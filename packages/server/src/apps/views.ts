import type { App, PublicJwk } from '../service.ts';
import { pemOf } from './keys.ts';

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
    // The Elements use codes if both are enabled.
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

/** Returns the app as visitors see it. `auth_methods` has no key for a disabled method. */
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
