/**
 * Resources of the Management API, in camelCase and with `Date` (docs/protocol.md §7). Values that this version does
 * not know pass through, so that newer servers work.
 *
 * @module
 */

/** One of the known values, or a string that only a newer server knows. */
type Open<Known extends string> = Known | (string & Record<never, never>);

/** Purpose of a magic link. */
export const MagicLinkType = { Login: 'login', VerifyIdentifier: 'verify_identifier' } as const;
export type MagicLinkType = Open<(typeof MagicLinkType)[keyof typeof MagicLinkType]>;

/** How a magic link is delivered. */
export const MagicLinkChannel = { Email: 'email', Phone: 'phone' } as const;
export type MagicLinkChannel = Open<(typeof MagicLinkChannel)[keyof typeof MagicLinkChannel]>;

/** Language of the message that carries a magic link. */
export const MagicLinkLanguage = {
  De: 'de',
  En: 'en',
  Es: 'es',
  It: 'it',
  Pl: 'pl',
  Pt: 'pt',
  Zh: 'zh',
} as const;
export type MagicLinkLanguage = Open<(typeof MagicLinkLanguage)[keyof typeof MagicLinkLanguage]>;

/** `pending` until the first login; `inactive` while deactivated. */
export const UserStatus = { Active: 'active', Inactive: 'inactive', Pending: 'pending' } as const;
export type UserStatus = Open<(typeof UserStatus)[keyof typeof UserStatus]>;

/** Kind of a passkey. */
export const WebAuthnType = {
  Passkey: 'passkey',
  SecurityKey: 'security_key',
  Platform: 'platform',
} as const;
export type WebAuthnType = Open<(typeof WebAuthnType)[keyof typeof WebAuthnType]>;

export type UserEventAction = Open<'register' | 'login' | 'other'>;
export type UserEventStatus = Open<'complete' | 'incomplete'>;
export type SocialConnectionType = Open<'apple' | 'github' | 'google'>;
export type UserMetadataFieldType = Open<'string' | 'boolean' | 'integer' | 'date' | 'phone' | 'email'>;
export type AppType = Open<'complete' | 'flex'>;
export type ThemeType = Open<'auto' | 'light' | 'dark'>;
export type TtlDisplayUnit = Open<'s' | 'm' | 'h' | 'd'>;
export type AuthFallbackMethod = Open<'magic_link' | 'otp' | 'none'>;
export type Technology = Open<
  'react' | 'go' | 'vue' | 'angular' | 'python' | 'javascript' | 'ios' | 'android'
>;

/** Data of a user under the app's metadata schema. Keys are the schema's own. */
export type UserMetadata = Record<string, unknown>;

/** A passkey of a user. The API never shows its public key. */
export interface WebAuthnDevice {
  /** Passage's ID of the device, for `revokeDevice`. */
  id: string;
  /** WebAuthn credential ID, in base64url. */
  credId: string;
  friendlyName: string;
  type: WebAuthnType;
  usageCount: number;
  createdAt: Date;
  updatedAt: Date;
  lastLoginAt: Date | null;
  /** Logo of the passkey provider, as `data:` URLs. */
  icons: { light: string | null; dark: string | null };
}

/** A recent event of a user. */
export interface UserRecentEvent {
  id: string;
  type: string;
  action: UserEventAction;
  status: UserEventStatus;
  createdAt: Date;
  completedAt: Date | null;
  ipAddr: string;
  userAgent: string;
  userAgentDisplay: string;
  socialLoginType: SocialConnectionType | null;
}

/** A user's account at a social login provider. */
export interface SocialConnection {
  providerId: string;
  providerIdentifier: string;
  createdAt: Date;
  lastLoginAt: Date | null;
}

/** A user as lists show them. */
export interface PassageUserSummary {
  id: string;
  /** Empty if there is none. */
  email: string;
  emailVerified: boolean;
  /** E.164, or empty if there is none. */
  phone: string;
  phoneVerified: boolean;
  /** Set for users of Flex apps only. */
  externalId: string;
  status: UserStatus;
  loginCount: number;
  createdAt: Date;
  updatedAt: Date;
  /** `null` if the user has never logged in. */
  lastLoginAt: Date | null;
  userMetadata: UserMetadata | null;
}

/** A user with all that belongs to them. */
export interface PassageUser extends PassageUserSummary {
  /** Whether the user has at least one passkey. */
  webauthn: boolean;
  webauthnDevices: WebAuthnDevice[];
  webauthnTypes: WebAuthnType[];
  recentEvents: UserRecentEvent[];
  socialConnections: { [Type in SocialConnectionType]?: SocialConnection };
}

/** A link that logs its user in, or proves an identifier. */
export interface MagicLink {
  id: string;
  appId: string;
  userId: string;
  /** The email address or phone number it was created for. */
  identifier: string;
  type: MagicLinkType;
  activated: boolean;
  /** The value that activates the link. Anyone who has it can log in as the user. */
  secret: string;
  /** Lifetime in minutes. */
  ttl: number;
  /** The complete link. It contains the secret. */
  url: string;
  redirectUrl: string;
}

/** How codes and links are offered by an app. */
export interface AuthMethod {
  enabled: boolean;
  /** Lifetime in seconds. */
  ttl: number;
  ttlDisplayUnit: TtlDisplayUnit;
}

/** Colors, sizes and fonts of the front-end elements, by their camelCase names. */
export type ElementCustomization = Record<string, string | number>;

/** Place of a metadata field in a form. */
export interface LayoutItem {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface UserMetadataField {
  id: string;
  fieldName: string;
  friendlyName: string;
  type: UserMetadataFieldType;
  profile: boolean;
  registration: boolean;
}

/** Settings of an app. */
export interface PassageApp {
  id: string;
  name: string;
  type: AppType;
  createdAt: Date;
  authOrigin: string;
  additionalAuthOrigins: string[];
  allowedCallbackUrls: string[];
  allowedLogoutUrls: string[];
  applicationLoginUri: string;
  allowedIdentifier: Open<'email' | 'phone' | 'both'>;
  requiredIdentifier: Open<'email' | 'phone' | 'both' | 'either' | 'external'>;
  requireIdentifierVerification: boolean;
  requireEmailVerification: boolean;
  publicSignup: boolean;
  profileManagement: boolean;
  authMethods: { passkeys: { enabled: boolean }; otp: AuthMethod; magicLink: AuthMethod };
  authFallbackMethod: AuthFallbackMethod;
  /** Seconds. */
  authFallbackMethodTtl: number;
  /** Lifetime of access tokens, in minutes. */
  sessionTimeoutLength: number;
  refreshEnabled: boolean;
  /** Seconds. */
  refreshAbsoluteLifetime: number;
  /** Seconds. */
  refreshInactivityLifetime: number;
  /** Base64 of a public key in PEM. */
  rsaPublicKey: string;
  redirectUrl: string;
  loginUrl: string;
  defaultLanguage: string;
  hosted: boolean;
  hostedSubdomain: string;
  hostedTheme: ThemeType;
  role: string;
  layouts: { profile: LayoutItem[]; registration: LayoutItem[] };
  userMetadataSchema: UserMetadataField[];
  passageBranding: boolean;
  autoThemeEnabled: boolean;
  elementCustomization: ElementCustomization;
  elementCustomizationDark: ElementCustomization;
  technologies: Technology[];
  /** Seconds. */
  idTokenLifetime?: number;
  /** OIDC client secret, for administrators only. */
  secret?: string;
  lightLogoUrl?: string;
  darkLogoUrl?: string;
}
