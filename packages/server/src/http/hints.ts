import type { Service } from '../service.ts';

/** Least time between two hints of a kind, in milliseconds. */
const pause = 60_000;

/** Most kinds that are remembered. Strangers choose origins, so there may be any number of them. */
const bound = 100;

/**
 * Returns a function that warns the operator of a likely mistake in the configuration, at most once a minute for each
 * subject: the requests that show it may come by the thousand.
 */
export function createHints({ options, clock }: Service) {
  const last = new Map<string, number>();
  return (subject: string, fields: object, text: string): void => {
    const now = clock();
    const since = last.get(subject);
    if (since !== undefined && now - since < pause && now >= since) return;
    if (since === undefined && last.size >= bound) last.clear();
    last.set(subject, now);
    options.logger.warn(fields, text);
  };
}
