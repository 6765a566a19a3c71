import { createHash, randomBytes } from 'node:crypto';
import { internalCheckNames } from '@passage-auth/core';
import { type Algorithm, coseAlgorithms, coseKeyOf, createKeyPair, signWith } from './algorithms.ts';
import { type CborValue, encodeCbor } from './cbor.ts';
import type {
  AssertionChanges,
  AssertionResponse,
  CeremonyChanges,
  CreationChanges,
  CreationOptions,
  CreationResponse,
  Flags,
  Passkey,
  RequestOptions,
} from './ceremony.ts';

/** How a {@link VirtualAuthenticator} behaves. */
export interface AuthenticatorOptions {
  /** Origin of the page that runs the ceremony. */
  origin: string;
  /** Algorithms it knows; the first that the server offers is used. Default is ES256, EdDSA and RS256. */
  algorithms?: readonly Algorithm[] | undefined;
  /** Whether it is part of the device. Default is `platform`. */
  attachment?: 'platform' | 'cross-platform' | undefined;
  /** Transports it reports. Default is `internal`, or `usb` when it is cross-platform. */
  transports?: readonly string[] | undefined;
  /** Whether it can verify its user, by a finger, face or PIN. Default is true. */
  userVerification?: boolean | undefined;
  /** Whether it keeps passkeys that can be found without an identifier. Default is true. */
  discoverable?: boolean | undefined;
  /** Whether its passkeys may be synced to other devices. Default is false. */
  backupEligible?: boolean | undefined;
  /** Whether its passkeys are synced at present. Default is the value of `backupEligible`. */
  backedUp?: boolean | undefined;
  /** Whether it counts its signatures; otherwise the counter stays 0. Default is true unless `backupEligible`. */
  counting?: boolean | undefined;
  /** Attestation it gives: none, or packed and signed by the credential itself. Default is `none`. */
  attestation?: 'none' | 'packed' | undefined;
}

const switches = {
  userVerification: true,
  discoverable: true,
  backupEligible: true,
  backedUp: true,
  counting: true,
} as const;

const names = {
  ...switches,
  origin: true,
  algorithms: true,
  attachment: true,
  transports: true,
  attestation: true,
} satisfies Record<keyof AuthenticatorOptions, true>;

function checkOptions(options: AuthenticatorOptions): void {
  internalCheckNames(options, names);
  for (const name of Object.keys(switches) as (keyof typeof switches)[]) {
    if (options[name] !== undefined && typeof options[name] !== 'boolean') {
      throw new TypeError(`"${name}" option must be true or false, as a boolean`);
    }
  }
}

/**
 * A browser and its authenticator, as far as a Passage server can tell: takes `publicKey` options
 * and returns the `handshake_response` that Passage.js would send.
 *
 * Refusals are the `DOMException`s that a browser throws. Properties may be changed between ceremonies.
 *
 * @example
 * ```ts
 * const phone = new VirtualAuthenticator({ origin: 'http://localhost:3000' });
 * const handshake_response = await phone.create(handshake.challenge.publicKey);
 * ```
 */
export class VirtualAuthenticator {
  readonly passkeys: Passkey[] = [];
  origin: string;
  algorithms: readonly Algorithm[];
  attachment: 'platform' | 'cross-platform';
  transports: readonly string[];
  userVerification: boolean;
  discoverable: boolean;
  backupEligible: boolean;
  backedUp: boolean;
  counting: boolean;
  attestation: 'none' | 'packed';

  /** @throws TypeError if an option is unknown or a switch is not a boolean */
  constructor(options: AuthenticatorOptions) {
    checkOptions(options);
    this.origin = options.origin;
    this.algorithms = options.algorithms ?? ['ES256', 'EdDSA', 'RS256'];
    this.attachment = options.attachment ?? 'platform';
    this.transports = options.transports ?? [this.attachment === 'platform' ? 'internal' : 'usb'];
    this.userVerification = options.userVerification ?? true;
    this.discoverable = options.discoverable ?? true;
    this.backupEligible = options.backupEligible ?? false;
    this.backedUp = options.backedUp ?? this.backupEligible;
    this.counting = options.counting ?? !this.backupEligible;
    this.attestation = options.attestation ?? 'none';
  }

  /**
   * Makes a passkey and returns the answer to a registration.
   *
   * @param changes What to get wrong; nothing when left out.
   * @throws DOMException `InvalidStateError` when it holds an excluded passkey, `NotSupportedError` when no
   * algorithm is common, `NotAllowedError` when it cannot do what is required, `SecurityError` for another site's RP ID
   * @see WebAuthn Level 3 §5.1.3 and §6.3.2
   */
  async create(options: CreationOptions, changes: CreationChanges = {}): Promise<CreationResponse> {
    const rpId = this.#requireRpId(options.rp.id);
    this.#requireSelection(options);
    const algorithm = changes.algorithm ?? this.#requireAlgorithm(options);
    const { publicKey, privateKey } = changes.keyPair ?? (await createKeyPair(algorithm));
    const credentialId = Buffer.from(changes.credentialId ?? randomBytes(32));
    const passkey: Passkey = {
      id: credentialId.toString('base64url'),
      rpId,
      userHandle: options.user.id,
      userName: options.user.name,
      algorithm,
      discoverable: this.discoverable,
      privateKey,
      counter: 0,
    };
    const clientData = this.#clientData('webauthn.create', options.challenge, changes);
    const cose = coseKeyOf(algorithm, publicKey);
    const coseKey = changes.coseKey?.(cose) ?? cose;
    const attested = Buffer.concat([
      Buffer.alloc(16), // AAGUID of an authenticator that does not name its make
      Buffer.from([credentialId.length >> 8, credentialId.length & 0xff]),
      credentialId,
      coseKey instanceof Uint8Array ? coseKey : encodeCbor(coseKey),
    ]);
    const verification = options.authenticatorSelection?.userVerification;
    const flags = this.#flags(verification, { at: true }, changes);
    const authData = authenticatorData(passkey, flags, attested, changes);
    const object = attestationObject(this.attestation, passkey, authData, clientData, changes);
    this.passkeys.push(passkey);
    const answer: CreationResponse = {
      id: passkey.id,
      rawId: passkey.id,
      type: 'public-key',
      response: { attestationObject: base64url(object), clientDataJSON: base64url(clientData) },
      transports: [...this.transports],
    };
    return changes.answer?.(answer) ?? answer;
  }

  /**
   * Signs with a passkey and returns the answer to a login. Of several passkeys the newest is used.
   *
   * @param changes What to get wrong; nothing when left out.
   * @throws DOMException `NotAllowedError` when it has no such passkey or cannot verify its user,
   * `SecurityError` for another site's RP ID
   * @see WebAuthn Level 3 §5.1.4 and §6.3.3
   */
  async get(options: RequestOptions, changes: AssertionChanges = {}): Promise<AssertionResponse> {
    const rpId = this.#requireRpId(options.rpId);
    const passkey = changes.passkey ?? this.#requirePasskey(rpId, options);
    if (this.counting) passkey.counter += 1;
    const clientData = this.#clientData('webauthn.get', options.challenge, changes);
    const flags = this.#flags(options.userVerification, {}, changes);
    const authData = authenticatorData(passkey, flags, Buffer.alloc(0), changes);
    const signature = signCeremony(passkey, authData, clientData, changes);
    const answer: AssertionResponse = {
      id: passkey.id,
      rawId: passkey.id,
      type: 'public-key',
      response: {
        authenticatorData: base64url(authData),
        clientDataJSON: base64url(clientData),
        signature: base64url(signature),
        // Passage.js sends an empty text when the authenticator gives no handle.
        userHandle: changes.userHandle ?? (passkey.discoverable ? passkey.userHandle : ''),
      },
    };
    return changes.answer?.(answer) ?? answer;
  }

  #requireRpId(rpId?: string): string {
    // Origins of native apps (`android:apk-key-hash:…`) have no host: the platform vouches for them.
    const host = /^https?:/.test(this.origin) ? new URL(this.origin).hostname : undefined;
    const id = rpId ?? host ?? '';
    if (host !== undefined && host !== id && !host.endsWith(`.${id}`)) throw refusal('SecurityError');
    return id;
  }

  #requireSelection({ excludeCredentials = [], authenticatorSelection = {} }: CreationOptions): void {
    const { authenticatorAttachment, residentKey, requireResidentKey } = authenticatorSelection;
    const resident = residentKey === 'required' || (residentKey === undefined && requireResidentKey === true);
    if (resident && !this.discoverable) throw refusal('NotAllowedError');
    if (authenticatorAttachment && authenticatorAttachment !== this.attachment)
      throw refusal('NotAllowedError');
    if (excludeCredentials.some(({ id }) => this.passkeys.some((passkey) => passkey.id === id))) {
      throw refusal('InvalidStateError');
    }
  }

  #requireAlgorithm({ pubKeyCredParams }: CreationOptions): Algorithm {
    const offered = pubKeyCredParams.map(({ alg }) =>
      this.algorithms.find((own) => coseAlgorithms[own] === alg),
    );
    const chosen = offered.find((algorithm) => algorithm !== undefined);
    if (!chosen) throw refusal('NotSupportedError');
    return chosen;
  }

  #requirePasskey(rpId: string, { allowCredentials = [] }: RequestOptions): Passkey {
    const passkey = this.passkeys.findLast(
      (candidate) =>
        candidate.rpId === rpId &&
        (allowCredentials.length === 0
          ? candidate.discoverable
          : allowCredentials.some(({ id }) => id === candidate.id)),
    );
    if (!passkey) throw refusal('NotAllowedError');
    return passkey;
  }

  #clientData(type: string, challenge: string, { clientData }: CeremonyChanges): Buffer {
    const members = { type, challenge, origin: this.origin, crossOrigin: false, ...clientData };
    return Buffer.from(JSON.stringify(members));
  }

  #flags(verification: string | undefined, given: Partial<Flags>, changes: CeremonyChanges): Flags {
    if (verification === 'required' && !this.userVerification) throw refusal('NotAllowedError');
    return {
      up: true,
      uv: this.userVerification && verification !== 'discouraged',
      be: this.backupEligible,
      bs: this.backedUp,
      at: false,
      ed: false,
      ...given,
      ...changes.flags,
    };
  }
}

/** @see WebAuthn Level 3 §6.1 */
function authenticatorData(
  passkey: Passkey,
  flags: Flags,
  attested: Buffer,
  changes: CeremonyChanges,
): Buffer {
  const bits: [keyof Flags, number][] = [
    ['up', 0],
    ['uv', 2],
    ['be', 3],
    ['bs', 4],
    ['at', 6],
    ['ed', 7],
  ];
  const fixed = Buffer.alloc(5);
  fixed[0] = bits.reduce((byte, [flag, bit]) => byte | (Number(flags[flag]) << bit), 0);
  fixed.writeUInt32BE(changes.counter ?? passkey.counter, 1);
  const bytes = Buffer.concat([sha256(changes.rpId ?? passkey.rpId), fixed, attested]);
  return Buffer.from(changes.authenticatorData?.(bytes) ?? bytes);
}

/** @see WebAuthn Level 3 §6.5.4, §8.2 and §8.7 */
function attestationObject(
  format: 'none' | 'packed',
  passkey: Passkey,
  authData: Buffer,
  clientData: Buffer,
  changes: CreationChanges,
): Buffer {
  const statement = new Map<string, CborValue>();
  if (format === 'packed') {
    statement.set('alg', coseAlgorithms[passkey.algorithm]);
    statement.set('sig', signCeremony(passkey, authData, clientData, changes));
  }
  const object = new Map<string, CborValue>([
    ['fmt', changes.format ?? format],
    ['attStmt', changes.statement?.(statement) ?? statement],
    ['authData', authData],
  ]);
  const bytes = encodeCbor(object);
  return Buffer.from(changes.attestationObject?.(bytes) ?? bytes);
}

function signCeremony(
  passkey: Passkey,
  authData: Buffer,
  clientData: Buffer,
  changes: CeremonyChanges,
): Buffer {
  const signed = Buffer.concat([authData, sha256(clientData)]);
  const signature = signWith(passkey.algorithm, passkey.privateKey, signed);
  return Buffer.from(changes.signature?.(signature) ?? signature);
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

function base64url(bytes: Buffer): string {
  return bytes.toString('base64url');
}

function refusal(name: string): DOMException {
  return new DOMException('The virtual authenticator refused the ceremony', name);
}
