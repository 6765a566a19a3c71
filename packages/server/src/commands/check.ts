/** What a check of `doctor` found. */
export interface Check {
  name: string;
  state: 'ok' | 'warn' | 'fail';
  text: string;
  /** How to fix it. */
  cure?: string;
}

export function check(name: string, state: Check['state'], text: string, cure?: string): Check {
  return { name, state, text, ...(cure && { cure }) };
}

/** Turns an error into a finding. The reason of a connection error is in its causes. */
export function failure(name: string, error: unknown, cure: string): Check {
  const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  const inner = cause?.code ?? cause?.message;
  const text = message === 'fetch failed' && inner ? `cannot be reached (${inner})` : message;
  return check(name, 'fail', text.replaceAll(/\s*\n\s*/g, ' '), cure);
}
