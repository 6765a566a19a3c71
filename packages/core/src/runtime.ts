/** What core uses of Node, where it is there: other runtimes have less of it, or nothing. */
interface Host {
  readonly process?: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly versions?: { readonly node?: string };
    readonly getBuiltinModule?: (name: 'node:crypto') => NodeCrypto | undefined;
  };
  readonly Buffer?: { from(text: string, encoding: 'base64url' | 'latin1'): Uint8Array };
}

interface NodeCrypto {
  readonly KeyObject: { from(key: CryptoKey): object };
  verify(algorithm: 'sha256', data: Uint8Array, key: object, signature: Uint8Array): boolean;
}

export const host = globalThis as unknown as Host;
