/** What is wrong with an answer. The text is for the log: clients get one constant text. */
export class CeremonyError extends Error {}

const maxDepth = 8;

/**
 * Checks that bytes are exactly one CBOR item, or the given number, in the form that authenticators send: definite
 * lengths, no tags or floats, no duplicate
 * keys, not deeply nested. The decoder used afterwards accepts all of these.
 *
 * @throws {@link CeremonyError}
 * @see CTAP 2.2 §8 (canonical CBOR), RFC 8949 §5.6
 */
export function requireStrictCbor(bytes: Uint8Array, count = 1): void {
  const end = skipItems(bytes, 0, count, 0);
  if (end !== bytes.length) throw new CeremonyError('CBOR: bytes follow the last item');
}

function skipItem(bytes: Uint8Array, start: number, depth: number): number {
  if (depth > maxDepth) throw new CeremonyError('CBOR: nested too deeply');
  const major = (bytes[start] ?? 0xff) >> 5;
  const { value, next } = readHead(bytes, start);
  if (major === 0 || major === 1) return next;
  if (major === 2 || major === 3) return skipBytes(bytes, next, value);
  if (major === 4) return skipItems(bytes, next, value, depth + 1);
  if (major === 5) return skipMap(bytes, next, value, depth);
  // false, true and null; floats, tags and the rest have no place in an attestation.
  if (major === 7 && value >= 20 && value <= 22) return next;
  throw new CeremonyError('CBOR: item of a kind that is not expected');
}

function readHead(bytes: Uint8Array, start: number): { value: number; next: number } {
  const info = (bytes[start] ?? 0xff) & 0x1f;
  if (info < 24) return { value: info, next: start + 1 };
  const size = { 24: 1, 25: 2, 26: 4 }[info];
  if (!size || start + size >= bytes.length)
    throw new CeremonyError('CBOR: length is indefinite, huge or cut off');
  const value = bytes.slice(start + 1, start + 1 + size).reduce((sum, byte) => sum * 256 + byte, 0);
  return { value, next: start + 1 + size };
}

function skipBytes(bytes: Uint8Array, start: number, length: number): number {
  if (start + length > bytes.length) throw new CeremonyError('CBOR: cut off');
  return start + length;
}

function skipItems(bytes: Uint8Array, start: number, count: number, depth: number): number {
  let next = start;
  for (let index = 0; index < count; index++) next = skipItem(bytes, next, depth);
  return next;
}

function skipMap(bytes: Uint8Array, start: number, count: number, depth: number): number {
  const keys = new Set<string>();
  let next = start;
  for (let index = 0; index < count; index++) {
    const end = skipItem(bytes, next, depth + 1);
    const key = Buffer.from(bytes.subarray(next, end)).toString('hex');
    if (keys.has(key)) throw new CeremonyError('CBOR: key given twice');
    keys.add(key);
    next = skipItem(bytes, end, depth + 1);
  }
  return next;
}
