import { WireError } from '../errors.ts';
import type { MetadataType, StoredSettings } from '../settings.ts';
import { readEmail, readPhone } from './identifiers.ts';

export type Metadata = Record<string, unknown>;

const rules: Record<MetadataType, { accepts: (value: unknown) => boolean; text: string }> = {
  string: {
    accepts: (value) => typeof value === 'string' && value.length <= 4_096,
    text: 'must be a string',
  },
  boolean: { accepts: (value) => typeof value === 'boolean', text: 'must be a boolean' },
  integer: { accepts: (value) => Number.isSafeInteger(value), text: 'must be an integer' },
  date: { accepts: isDate, text: 'must be a date of the form MM/DD/YYYY' },
  phone: {
    accepts: (value) => typeof value === 'string' && readPhone(value) !== undefined,
    text: 'must be a valid E164 number',
  },
  email: {
    accepts: (value) => typeof value === 'string' && readEmail(value) !== undefined,
    text: 'must be a valid email address',
  },
};

/**
 * Merges changes into a user's metadata; null removes a field. One invalid field rejects the whole change.
 *
 * @param scope Who changes it: visitors and users can change only the fields that are open to them.
 * @throws {@link WireError} `invalid_request`, naming the fields by the schema
 */
export function mergeMetadata(
  { userMetadataSchema }: StoredSettings,
  stored: string | null,
  changes: Metadata | undefined,
  scope: 'registration' | 'profile' | 'any',
): string | null {
  if (!changes) return stored;
  const merged = new Map<string, unknown>(Object.entries(stored ? (JSON.parse(stored) as Metadata) : {}));
  const wrong: string[] = [];
  for (const [name, value] of Object.entries(changes)) {
    const field = userMetadataSchema.find(({ fieldName }) => fieldName === name);
    if (!field) wrong.push('user_metadata: has a field that is not in the schema.');
    else if (scope !== 'any' && !field[scope])
      wrong.push(`user_metadata.${field.fieldName}: cannot be changed here.`);
    else if (value === null) merged.delete(name);
    else if (rules[field.type].accepts(value)) merged.set(name, value);
    else wrong.push(`user_metadata.${field.fieldName}: ${rules[field.type].text}.`);
  }
  if (wrong.length) throw new WireError('invalid_request', [...new Set(wrong)].join(' '));
  return JSON.stringify(Object.fromEntries(merged));
}

/** Adds the changed fields to the list of those that a visitor wrote without proof, or removes them if a known person wrote them. */
export function noteOpenFields(
  open: string | null,
  changes: Metadata | undefined,
  writer: 'stranger' | 'known',
): string | null {
  const names = new Set<string>(open ? JSON.parse(open) : []);
  for (const name of Object.keys(changes ?? {})) {
    if (writer === 'stranger') names.add(name);
    else names.delete(name);
  }
  return names.size ? JSON.stringify([...names]) : null;
}

/** Returns metadata without some of its fields, whose names are a JSON list. */
export function omitFields(stored: string | null, fields: string | null): string | null {
  if (!stored || !fields) return stored;
  const names = new Set<string>(JSON.parse(fields));
  const kept = Object.entries(JSON.parse(stored) as Metadata).filter(([name]) => !names.has(name));
  return kept.length ? JSON.stringify(Object.fromEntries(kept)) : null;
}

/** Returns the names of the fields that differ. */
export function changedFields(before: string | null, after: string | null): string[] {
  const [old, now] = [before, after].map((text) => (text ? (JSON.parse(text) as Metadata) : {})) as [
    Metadata,
    Metadata,
  ];
  return Object.keys({ ...old, ...now }).filter((name) => old[name] !== now[name]);
}

function isDate(value: unknown): boolean {
  const parts = typeof value === 'string' ? /^(\d{2})\/(\d{2})\/(\d{4})$/.exec(value) : null;
  if (!parts) return false;
  const [, month, day, year] = parts.map(Number) as [number, number, number, number];
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
