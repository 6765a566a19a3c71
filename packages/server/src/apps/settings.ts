import { type AppSettings, renameSettings, type StoredSettings, settings } from '../settings.ts';
import { isRecord, listFaults, parseStrict } from '../strict.ts';

const defaults = settings.omit({ authOrigin: true, loginUrl: true }).parse({});

/** Reads stored settings. Older versions stored fewer and checked less, so stored values are not validated. */
export function readSettings(json: string): StoredSettings {
  return pick(readAll(json), Object.keys(settings.shape)) as unknown as StoredSettings;
}

/** Lists stored values that are no longer valid. */
export function findSettingFaults(json: string): { name: string; rule: string }[] {
  return listFaults(settings, readAll(json));
}

function readAll(json: string): object {
  const { deviceAddMaxAge, ...named } = JSON.parse(json) as StoredSettings & AppSettings;
  const old = deviceAddMaxAge !== undefined && { credentialChangeMaxAge: deviceAddMaxAge };
  return merge(defaults, { ...old, ...named }) as object;
}

/**
 * Returns settings with changes. Only the changed settings are validated.
 *
 * @throws TypeError naming the invalid setting
 */
export function changeSettings(stored: StoredSettings, given: AppSettings): StoredSettings {
  const changes = renameSettings(given);
  if (!isRecord(changes)) return parseStrict(settings, changes, 'setting');
  const names = Object.keys(changes).filter((name) => changes[name as keyof typeof changes] !== undefined);
  const known = names.filter((name) => Object.hasOwn(settings.shape, name));
  const mask = Object.fromEntries(known.map((name) => [name, true]));
  const schema = settings.pick(mask as Record<keyof StoredSettings, true>);
  return { ...stored, ...parseStrict(schema, pick(merge(stored, changes) as object, names), 'setting') };
}

/** Settings whose values the audit log stores. Of the others, it stores only the names: they are long, or may contain a secret one day. */
const shown: readonly (keyof StoredSettings)[] = [
  'name',
  'authOrigin',
  'additionalAuthOrigins',
  'allowedCallbackUrls',
  'redirectUrl',
  'loginUrl',
  'allowedLinkPaths',
  'allowedIdentifier',
  'requiredIdentifier',
  'requireIdentifierVerification',
  'unprovenPasskeys',
  'publicSignup',
  'profileManagement',
  'authMethods',
  'sessionTimeoutLength',
  'refreshEnabled',
  'refreshAbsoluteLifetime',
  'refreshInactivityLifetime',
  'refreshReuseInterval',
  'credentialChangeMaxAge',
  'userVerification',
  'defaultLanguage',
  'userMetadataSchema',
  'passageBranding',
];

/** Returns the changed settings, with old and new values if the audit log stores them; `undefined` if nothing changed. */
export function listChanges(
  before: StoredSettings,
  after: StoredSettings,
): Record<string, { from?: unknown; to?: unknown }> | undefined {
  const names = (Object.keys(after) as (keyof StoredSettings)[]).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  if (names.length === 0) return undefined;
  return Object.fromEntries(
    names.map((name) => [name, shown.includes(name) ? { from: before[name], to: after[name] } : {}]),
  );
}

function merge(value: unknown, change: unknown): unknown {
  if (change === undefined) return value;
  if (!isRecord(value) || !isRecord(change)) return change;
  const members = Object.entries(change).map(([name, member]) => [name, merge(value[name], member)]);
  return { ...value, ...Object.fromEntries(members) };
}

function pick(value: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
}
