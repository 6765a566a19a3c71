/**
 * Tells whether an id is exactly one segment of a URL path once it is percent-encoded.
 *
 * `.` and `..` are not: `encodeURIComponent` leaves them alone, and every URL parser then resolves them.
 *
 * @internal
 */
export function isPathSegment(id: unknown): id is string {
  return (
    typeof id === 'string' && id.trim() !== '' && id !== '.' && id !== '..' && !/\p{Surrogate}/u.test(id)
  );
}

/** @throws TypeError that names the argument, unless it is the id of something @internal */
export function requireSegment(name: string, id: unknown): asserts id is string {
  if (!isPathSegment(id)) throw new TypeError(`"${name}" is required and must be the id of one resource`);
}

/** @throws TypeError that names the argument, unless it is a text that is not blank @internal */
export function requireText(name: string, text: unknown): asserts text is string {
  if (typeof text !== 'string' || text.trim() === '') {
    throw new TypeError(`"${name}" is required and must be a string`);
  }
}
