import { z } from 'zod';

/** An option or setting is missing, unknown or invalid. The message names it and says what it must be, but never quotes the value. */
export class OptionError extends TypeError {
  /** Where it is, such as `rateLimits.messagesPerIp.count`. */
  readonly path: string;
  /** Rest of a sentence that begins with the name. */
  readonly rule: string;

  constructor(path: string, rule: string, noun: string) {
    super(`${path ? `"${path}" ${noun}` : `The ${noun}s`} ${rule}`);
    this.path = path;
    this.rule = rule;
  }
}

/** Makes the schema of an object that has no other members than these. */
export function strict<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `is unknown: ${suggest(issue.keys[0] ?? '', Object.keys(shape))}`
        : undefined,
  });
}

/**
 * Checks a value and fills in the defaults.
 *
 * @param noun What the members of the value are called.
 * @throws {@link OptionError} naming the first member that is wrong
 */
export function parseStrict<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  noun: 'option' | 'setting',
): z.output<Schema> {
  const result = schema.safeParse(value, { error: ruleOf });
  if (result.success) return result.data;
  const { path, message } = firstOf(result.error.issues);
  throw new OptionError(nameOf(path), message, noun);
}

/** Lists all that is wrong with a value, in the order of the schema. */
export function listFaults(schema: z.ZodType, value: unknown): { name: string; rule: string }[] {
  const issues = schema.safeParse(value, { error: ruleOf }).error?.issues ?? [];
  return issues.map((issue) => {
    const { path, message: rule } = firstOf([issue]);
    return { name: nameOf(path), rule };
  });
}

/** Suggests the name that is one letter off, or lists all names. */
export function suggest(name: string, known: readonly string[]): string {
  const near = known.find((candidate) => isNear(name.toLowerCase(), candidate.toLowerCase()));
  return near ? `did you mean "${near}"?` : `it must be one of ${known.join(', ')}`;
}

/** True when one letter is left out, added, changed or swapped with the next. */
function isNear(left: string, right: string): boolean {
  let same = 0;
  while (same < left.length && left[same] === right[same]) same += 1;
  const [a, b] = [left.slice(same), right.slice(same)];
  const swapped = a.length > 1 && a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2);
  return swapped || a.slice(1) === b.slice(1) || a === b.slice(1) || a.slice(1) === b;
}

type Issue = Pick<z.core.$ZodIssue, 'path' | 'message'>;

/** Unknown names are reported first: a missing option may be a misspelled one. */
function firstOf(issues: readonly z.core.$ZodIssue[]): Issue {
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  if (issue?.code === 'unrecognized_keys') {
    return { path: [...issue.path, issue.keys[0] ?? ''], message: issue.message };
  }
  if (issue?.code === 'invalid_union') {
    const inner = issue.errors.flat().filter(({ code, path }) => code === 'unrecognized_keys' || path.length);
    if (!inner.length) return issue;
    const { path, message } = firstOf(inner);
    return { path: [...issue.path, ...path], message };
  }
  return issue as Issue;
}

function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
  array: 'an array',
  object: 'an object',
};

function ruleOf(issue: z.core.$ZodRawIssue): string {
  if (issue.code === 'invalid_type') {
    const kind = kinds[issue.expected] ?? issue.expected;
    return issue.input === undefined ? `must be set to ${kind}` : `must be ${kind}`;
  }
  if (issue.code === 'invalid_value')
    return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.join(', ')}`;
  return 'is not valid';
}

/** True for what has named members. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
