/** A length of time: a number with its unit, such as `500ms`, `30s`, `15m`, `2h` or `7d`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Real time, plus what a test has advanced it by. */
export class Clock {
  #offset = 0;

  /** Milliseconds since the epoch. Bound, because it is handed on as a function. */
  readonly now = (): number => Date.now() + this.#offset;

  advance(duration: Duration): void {
    this.#offset += millisecondsOf(duration, 'duration');
  }
}

/** @throws TypeError that names the argument when it is no duration */
export function millisecondsOf(duration: Duration, name: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) ?? [];
  const factor = units[unit];
  if (factor === undefined)
    throw new TypeError(`"${name}" must be a number with ms, s, m, h or d, for example 15m`);
  return Number(number) * factor;
}
