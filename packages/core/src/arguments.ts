/**
 * Returns whether an ID is exactly one segment of a URL path once it is percent-encoded.
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

/** @throws TypeError that names the argument, unless it is an ID @internal */
export function requireSegment(name: string, id: unknown): asserts id is string {
  if (!isPathSegment(id)) throw new TypeError(`"${name}" is required and must be the ID of one resource`);
}

/** @throws TypeError that names the argument, unless it is a string that is not blank @internal */
export function requireText(name: string, text: unknown): asserts text is string {
  if (typeof text !== 'string' || text.trim() === '') {
    throw new TypeError(`"${name}" is required and must be a string`);
  }
}

/**
 * Refuses options that are not an object, have unknown names, or are `null`: JavaScript has no compiler that does.
 *
 * @param known Names of all options; values are ignored.
 * @throws TypeError that names the option
 * @internal
 */
export function internalCheckNames(options: unknown, known: object): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError('The options must be an object');
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) {
      const near = Object.keys(known).find((other) => isNear(name, other));
      throw new TypeError(`"${name}" is not an option${near ? `: did you mean "${near}"?` : ''}`);
    }
    if (value === null) throw new TypeError(`"${name}" option must not be null: leave it out instead`);
  }
}

/** @throws TypeError that names the option, unless it is absent or a boolean @internal */
export function checkBoolean(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') {
    throw new TypeError(`"${name}" option must be true or false, as a boolean`);
  }
}

/** Whether two names differ by one letter, by two letters in the other order, or by upper case only. */
function isNear(one: string, other: string): boolean {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  const longest = Math.min(a.length, b.length) - start;
  while (end < longest && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  if (left.length <= 1 && right.length <= 1) return true;
  return left.length === 2 && left === [...right].reverse().join('');
}
