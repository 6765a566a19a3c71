import type { z } from 'zod';
import { WireError } from '../errors.ts';

/** Largest accepted body, in bytes. */
const bodyLimit = 64 * 1024;

/**
 * Reads and checks a JSON body. Members that are null count as absent, because some official clients send them.
 *
 * @param typed Whether the request needs a `Content-Type`. Official back-end SDKs sent none before 2023. Routes for browsers
 * require `application/json`, because pages of other origins can send other types without a preflight.
 * @throws {@link WireError} `invalid_request`, with a text in the format of the original service: `field: message.`
 */
export async function readBody<Body>(
  request: Request,
  schema: z.ZodType<Body>,
  typed: boolean,
): Promise<Body> {
  const text = await readText(request);
  const type = request.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  const untyped = !typed && !type;
  if (text !== '' && type !== 'application/json' && !untyped) {
    throw new WireError('invalid_request', 'content-type: must be application/json.');
  }
  const body = parse(text);
  requireTexts(body);
  return check(schema, withoutNulls(body));
}

/** Checks the query. A repeated parameter becomes a list, which most schemas reject. */
export function readQuery<Query>(url: URL, schema: z.ZodType<Query>): Query {
  requireTexts([...url.searchParams].flat());
  const entries = [...new Set(url.searchParams.keys())].map((name) => {
    const values = url.searchParams.getAll(name);
    return [name, values.length > 1 ? values : values[0]];
  });
  return check(schema, Object.fromEntries(entries));
}

/** Rejects texts with control characters other than tabs and line breaks, or with lone surrogates. No field allows them. */
function requireTexts(value: unknown): void {
  const rest = [value];
  // No recursion: a body can be nested more deeply than the stack allows.
  while (rest.length) {
    const one = rest.pop();
    if (typeof one === 'string' && (/(?![\t\n\r])\p{Cc}/u.test(one) || !one.isWellFormed())) {
      throw new WireError('invalid_request', 'The request contains characters that are not allowed');
    }
    if (typeof one !== 'object' || one === null) continue;
    for (const [name, member] of Object.entries(one)) rest.push(name, member);
  }
}

async function readText(request: Request): Promise<string> {
  if (!request.body) return '';
  const bytes = await collectBody(request.body as unknown as AsyncIterable<Uint8Array>);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new WireError('invalid_request', 'The request body is not UTF-8');
  }
}

/** @throws {@link WireError} `invalid_request` with status 413 as soon as it is too large */
export async function collectBody(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > bodyLimit) throw new WireError('invalid_request', 'The request is too large', { status: 413 });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(text: string): unknown {
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new WireError('invalid_request', 'The request body is not JSON');
  }
}

function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const texts = result.error.issues.map((issue) => `${nameOf(issue.path)}: ${describe(issue)}.`);
  throw new WireError('invalid_request', [...new Set(texts)].join(' '));
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.length ? path.filter((part) => typeof part === 'string').join('.') : 'request';
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type')
    return issue.input === undefined ? 'cannot be blank' : `must be of type ${issue.expected}`;
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.join(', ')}`;
  if (issue.code === 'too_big') return `must be no greater than ${issue.maximum}`;
  if (issue.code === 'too_small')
    return issue.message.includes('blank') ? issue.message : `must be no less than ${issue.minimum}`;
  return issue.code === 'invalid_format' && issue.message.startsWith('must') ? issue.message : 'is not valid';
}
