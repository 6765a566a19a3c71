/** The parts of Node that core uses. Other runtimes have some of them, or none. */
interface Host {
  readonly process?: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly versions?: { readonly node?: string };
    getBuiltinModule?(name: 'node:crypto'): NodeCrypto | undefined;
    getBuiltinModule?(name: 'node:diagnostics_channel'): Diagnostics | undefined;
  };
  readonly Buffer?: { from(text: string, encoding: 'base64url' | 'latin1'): Uint8Array };
}

interface NodeCrypto {
  readonly KeyObject: { from(key: CryptoKey): object };
  verify(algorithm: 'sha256', data: Uint8Array, key: object, signature: Uint8Array): boolean;
}

interface Diagnostics {
  channel(name: string): Channel;
}

/** A channel of `node:diagnostics_channel`. */
export interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: object): void;
}

export const host = globalThis as unknown as Host;
