import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { newApp } from '../settings.ts';

/**
 * Reads the settings of a file that `apps show --json` wrote.
 *
 * @throws TypeError if the file has no JSON object
 */
export async function readSettingsFile(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8');
  try {
    const { createdAt, ...settings } = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
    return settings;
  } catch (cause) {
    throw new TypeError(`${path} must be a JSON object, as "passage-server apps show --json" prints it`, {
      cause,
    });
  }
}

/**
 * Reads settings of a command line: `name=Shop`, `authMethods.otp.ttl=120`, lists as `a,b` or JSON. The schema of the
 * settings checks the values.
 *
 * @param settings To change.
 * @throws TypeError for an argument that is not a setting
 */
export function readSettings(
  args: readonly string[],
  settings: Record<string, unknown> = {},
): Record<string, unknown> {
  for (const arg of args) {
    const [, name = '', value = ''] = /^([\w.]+)=(.*)$/s.exec(arg) ?? [];
    if (!name) throw new TypeError(`"${arg}" must have the form setting=value, for example name=Shop`);
    const path = name.split('.');
    assign(settings, path, readValue(kindOf(path), value));
  }
  return settings;
}

function assign(into: Record<string, unknown>, [first = '', ...further]: readonly string[], value: unknown) {
  // `defineProperty`, so that __proto__ is an unknown setting and does nothing else.
  const set = (member: unknown) =>
    Object.defineProperty(into, first, {
      value: member,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  if (further.length === 0) return void set(value);
  const known = Object.hasOwn(into, first) ? into[first] : undefined;
  const inner = typeof known === 'object' && known !== null ? (known as Record<string, unknown>) : {};
  set(inner);
  assign(inner, further, value);
}

function readValue(kind: string | undefined, text: string): unknown {
  if (kind === 'string' || kind === 'enum') return text;
  if (kind === 'array' && !text.startsWith('[')) return text === '' ? [] : text.split(',');
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Finds what kind of value a setting has. */
function kindOf(path: readonly string[]): string | undefined {
  let schema: z.core.$ZodType | undefined = newApp;
  for (const name of path) {
    const inner = unwrap(schema);
    schema = inner instanceof z.ZodObject && Object.hasOwn(inner.shape, name) ? inner.shape[name] : undefined;
  }
  return unwrap(schema)?._zod.def.type;
}

function unwrap(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  const def = schema?._zod.def as
    | { innerType?: z.core.$ZodType; type: string; in?: z.core.$ZodType }
    | undefined;
  if (def?.innerType) return unwrap(def.innerType);
  return def?.type === 'pipe' ? unwrap(def.in) : schema;
}
