import type { Service } from '../service.ts';

/** Shortest time between two hints about the same subject, in milliseconds. */
const pause = 60_000;

/** Most subjects to remember. Strangers choose the origins, so there may be any number of them. */
const bound = 100;

/**
 * Returns a function that warns the operator of a likely mistake in the configuration, at most once a minute for each
 * subject: thousands of requests may show the same mistake.
 */
export function createHints() {
  const last = new Map<string, number>();
  return ({ options, clock }: Service, subject: string, fields: object, text: string): void => {
    const now = clock();
    const since = last.get(subject);
    if (since !== undefined && now - since < pause && now >= since) return;
    if (since === undefined && last.size >= bound) last.clear();
    last.set(subject, now);
    options.logger.warn(fields, text);
  };
}
