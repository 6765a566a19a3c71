/** What is used of Node's `process`. */
interface Process {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly versions?: { readonly node?: string | undefined };
}

/** Returns `process`, which edge runtimes do not have. */
export function findProcess(): Process | undefined {
  return (globalThis as { process?: Process }).process;
}
