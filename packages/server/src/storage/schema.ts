/**
 * Tables, as Kysely sees them. Columns are of three kinds only, text, integer and bigint, so that one set of queries serves SQLite
 * and PostgreSQL: booleans are 0 or 1, times are milliseconds since the epoch, structures are JSON.
 *
 * @module
 */
import type { Insertable, Selectable } from 'kysely';

export type DatabaseKind = 'sqlite' | 'postgres';

export type Flag = 0 | 1;

/** Kind of an address. */
export type Channel = 'email' | 'phone';

/** Purpose of a code or link. */
export type LoginAction = 'register' | 'login';

export interface AppTable {
  id: string;
  /** `StoredSettings` as JSON. */
  settings: string;
  created_at: number;
  updated_at: number;
}

export interface ApiKeyTable {
  id: string;
  app_id: string;
  name: string;
  prefix: string;
  hash: string;
  created_at: number;
  last_used_at: number | null;
}

export interface SigningKeyTable {
  id: string;
  app_id: string;
  public_jwk: string;
  /** Private JWK, encrypted with the server's secret. */
  private_jwk: string;
  created_at: number;
  /** When the key begins to sign. It is published before. */
  active_at: number;
  /** When the key stops being published; null for the newest key. */
  retires_at: number | null;
}

export interface UserTable {
  app_id: string;
  id: string;
  email: string | null;
  email_verified: Flag;
  phone: string | null;
  phone_verified: Flag;
  external_id: string;
  status: 'active' | 'inactive' | 'pending';
  login_count: number;
  metadata: string | null;
  created_at: number;
  updated_at: number;
  /** 0 until the first login. */
  last_login_at: number;
  /** Who created the user: a visitor, the app's back end, or an import. */
  origin: 'signup' | 'back_end' | 'import';
  /** When a code or link sent to the address was used; null if never, whatever `email_verified` says. */
  email_proven_at: number | null;
  phone_proven_at: number | null;
  /** 1 if a visitor added the address without proof. It is removed when somebody proves another address of the user. */
  email_open: Flag;
  phone_open: Flag;
  /** Names of the metadata fields that a visitor wrote before any address was proven, as JSON. */
  open_metadata: string | null;
  /** When everything pending of the user was last ended. 0 if never. */
  ended_at: number;
}

export type DeviceType = 'passkey' | 'security_key' | 'platform';

export interface DeviceTable {
  id: string;
  app_id: string;
  user_id: string;
  cred_id: string;
  /** COSE key, base64url. */
  public_key: string;
  counter: number;
  transports: string;
  aaguid: string;
  backup_eligible: Flag;
  backed_up: Flag;
  type: DeviceType;
  friendly_name: string;
  usage_count: number;
  created_at: number;
  updated_at: number;
  last_login_at: number;
  /** 1 if the person who created the passkey had proven an address of the user. */
  proven: Flag;
}

export type Ceremony = 'register' | 'login' | 'add';

export interface HandshakeTable {
  id_hash: string;
  app_id: string;
  ceremony: Ceremony;
  challenge_hash: string;
  /** User whose passkeys may answer; null if the login has no identifier. */
  user_id: string | null;
  /** Credential IDs that may answer, as JSON; null if any may. */
  allowed: string | null;
  /** Session that began the ceremony; null without a session. */
  session_id: string | null;
  expires_at: number;
}

export interface CodeTable {
  id_hash: string;
  app_id: string;
  /** Null for a decoy, which no code matches. */
  user_id: string | null;
  channel: Channel;
  identifier: string;
  action: LoginAction;
  code_hash: string;
  attempts: number;
  created_at: number;
  expires_at: number;
}

export interface LinkTable {
  id_hash: string;
  secret_hash: string;
  app_id: string;
  user_id: string;
  channel: Channel;
  identifier: string;
  action: LoginAction;
  type: 'login' | 'verify_identifier';
  /** Who requested the link. */
  source: 'visitor' | 'back_end';
  /** Session that requested a link to verify an address. Null for a link that logs in, or that the back end created. */
  session_id: string | null;
  /** Address of the user, of the same channel, when the link was created. */
  address: string | null;
  redirect_url: string;
  created_at: number;
  expires_at: number;
  activated_at: number | null;
  /** When the device that requested the link got its tokens. */
  claimed_at: number | null;
}

export interface SessionTable {
  /** `sid` of access tokens. */
  id: string;
  app_id: string;
  user_id: string;
  /** How the user logged in. */
  method: 'passkey' | 'otp' | 'magic_link' | 'back_end';
  /** Passkey that opened the session. */
  device_id: string | null;
  /** 1 if this login proved an address of the user, or the person who created its passkey had proven one. */
  proven: Flag;
  /** When the user logged in: `auth_time` of access tokens. */
  created_at: number;
  expires_at: number;
}

export interface RefreshTokenTable {
  hash: string;
  session_id: string;
  app_id: string;
  created_at: number;
  expires_at: number;
  used_at: number | null;
}

export interface EventTable {
  id: string;
  app_id: string;
  user_id: string;
  type: string;
  action: 'register' | 'login' | 'other';
  ip_addr: string;
  user_agent: string;
  created_at: number;
}

/** The audit log. Entries outlive their users and apps. */
export interface AuditTable {
  /** IDs of one process sort in the order of their creation. */
  id: string;
  /** Null for events of the whole server. */
  app_id: string | null;
  user_id: string | null;
  type: string;
  actor: 'user' | 'api_key' | 'command' | 'program' | 'server';
  actor_id: string | null;
  ip: string | null;
  user_agent: string | null;
  /** JSON object without secrets. Addresses are masked. */
  details: string;
  created_at: number;
}

/** Events for the event webhook. */
export interface WebhookTable {
  /** `webhook-id` of the request. */
  id: string;
  app_id: string;
  user_id: string;
  /** Order of the events of a user. */
  position: number;
  type: string;
  body: string;
  state: 'waiting' | 'sent' | 'failed';
  attempts: number;
  /** Time of the next try, while the event waits. */
  due_at: number;
  /** The event does not fail before this time. */
  expires_at: number;
  done_at: number | null;
  /** Result of the last try, unless it succeeded. */
  answer: string | null;
  created_at: number;
}

export interface LimitTable {
  id: string;
  count: number;
  resets_at: number;
}

export interface OutboxTable {
  id: string;
  app_id: string;
  /** Message as JSON, encrypted with the server's secret. */
  message: string;
  sent_at: number;
  expires_at: number;
}

export interface MetaTable {
  name: string;
  value: string;
}

export interface Schema {
  apps: AppTable;
  api_keys: ApiKeyTable;
  signing_keys: SigningKeyTable;
  users: UserTable;
  devices: DeviceTable;
  handshakes: HandshakeTable;
  codes: CodeTable;
  links: LinkTable;
  sessions: SessionTable;
  refresh_tokens: RefreshTokenTable;
  events: EventTable;
  audit: AuditTable;
  webhooks: WebhookTable;
  limits: LimitTable;
  outbox: OutboxTable;
  meta: MetaTable;
}

export type UserRow = Selectable<UserTable>;
export type NewUser = Insertable<UserTable>;
export type DeviceRow = Selectable<DeviceTable>;
export type SigningKeyRow = Selectable<SigningKeyTable>;
export type HandshakeRow = Selectable<HandshakeTable>;
export type CodeRow = Selectable<CodeTable>;
export type LinkRow = Selectable<LinkTable>;
export type SessionRow = Selectable<SessionTable>;
export type EventRow = Selectable<EventTable>;
export type WebhookRow = Selectable<WebhookTable>;
export type AuditRow = Selectable<AuditTable>;
