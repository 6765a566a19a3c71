/** What {@link encodeCbor} writes. */
export type CborValue =
  | number
  | string
  | Uint8Array
  | readonly CborValue[]
  | ReadonlyMap<CborValue, CborValue>;

/**
 * Returns the canonical CBOR of a value, as far as WebAuthn needs it.
 *
 * Not done: maps are written in the order given, not sorted.
 *
 * @see RFC 8949 §3
 */
export function encodeCbor(value: CborValue): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') return join(head(3, Buffer.byteLength(value)), Buffer.from(value));
  if (value instanceof Uint8Array) return join(head(2, value.length), value);
  if (isArray(value)) return join(head(4, value.length), ...value.map(encodeCbor));
  return join(head(5, value.size), ...[...value].flat().map(encodeCbor));
}

function isArray(value: unknown): value is readonly CborValue[] {
  return Array.isArray(value);
}

function join(...parts: Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}

/** Initial byte and argument: three bits of major type, then the shortest form of the number. */
function head(majorType: number, argument: number): Buffer {
  const major = majorType << 5;
  if (argument < 24) return Buffer.from([major | argument]);
  if (argument < 0x100) return Buffer.from([major | 24, argument]);
  if (argument < 0x10000) return Buffer.from([major | 25, argument >> 8, argument & 0xff]);
  const bytes = Buffer.alloc(5);
  bytes[0] = major | 26;
  bytes.writeUInt32BE(argument, 1);
  return bytes;
}
