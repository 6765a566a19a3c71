/**
 * The fifteen ceremonies of WebAuthn Level 3 §16, https://www.w3.org/TR/webauthn-3/#sctn-test-vectors, with every algorithm and
 * attestation there. Those that this server refuses by policy are refused for that reason alone: a twin without it passes.
 *
 * @module
 */
import { SettingsService } from '@simplewebauthn/server';
import { afterEach, describe, expect, it } from 'vitest';
import { algorithms } from './handshakes.ts';
import vectors from './vectors.json' with { type: 'json' };
import { type NewCredential, verifyAssertion, verifyAttestation } from './verify.ts';

type Ceremony = (typeof vectors.ceremonies)[number];

const bytes = (hex: string) => Buffer.from(hex, 'hex');
const encode = (hex: string) => bytes(hex).toString('base64url');

function expectation(challenge: string) {
  return {
    challenge: (given: string) => given === encode(challenge),
    origins: ['https://example.org'],
    rpId: 'example.org',
    userVerification: 'preferred' as const,
  };
}

function register({ registration }: Ceremony): Promise<NewCredential> {
  const { challenge, attestationObject, clientDataJSON, credentialId } = registration;
  const id = encode(credentialId);
  const response = { attestationObject: encode(attestationObject), clientDataJSON: encode(clientDataJSON) };
  return verifyAttestation({ id, rawId: id, type: 'public-key', response }, expectation(challenge));
}

function logIn({ login }: Ceremony, credential: NewCredential) {
  const { challenge, authenticatorData, clientDataJSON, signature } = login;
  const { id } = credential;
  const response = {
    authenticatorData: encode(authenticatorData),
    clientDataJSON: encode(clientDataJSON),
    signature: encode(signature),
  };
  return verifyAssertion({ id, rawId: id, type: 'public-key', response }, credential, expectation(challenge));
}

const named = (name: RegExp) => vectors.ceremonies.find((ceremony) => name.test(ceremony.name)) as Ceremony;

/** Returns a ceremony whose registration differs. */
function change(
  ceremony: Ceremony,
  member: keyof Ceremony['registration'],
  edit: (hex: string) => string,
): Ceremony {
  const changed = edit(ceremony.registration[member]);
  if (changed === ceremony.registration[member]) throw new Error('Nothing changed');
  return { ...ceremony, registration: { ...ceremony.registration, [member]: changed } };
}

const hex = (text: string) => Buffer.from(text).toString('hex');
/** Authenticator data up to the AAGUID, which stands after the RP ID's hash, flags and counter. */
const aaguidStart = (object: string) => object.indexOf('bfabc37432958b06') + 37 * 2;

/** Trusts whoever attests in the vectors, as their keys are no maker's. Path checks stay on. */
function trustVectors(): void {
  const certificates = [bytes(vectors.attestationCa)];
  for (const identifier of ['apple', 'android-key'] as const)
    SettingsService.setRootCertificates({ identifier, certificates });
}

const roots = (['apple', 'android-key'] as const).map((identifier) => ({
  identifier,
  certificates: SettingsService.getRootCertificates({ identifier }),
}));
afterEach(() => {
  for (const root of roots) SettingsService.setRootCertificates(root);
});

/** What has to differ from the vector for this server to take it. */
const twins: Record<string, (ceremony: Ceremony) => Ceremony> = {
  // The chain of a real device ends in its root.
  'Android Key': (ceremony) =>
    change(ceremony, 'attestationObject', (object) => appendCertificate(object, vectors.attestationCa)),
  // TCG's registry of makers does not have the zeros of the vector. FFFFF1D0 is what FIDO tests with.
  TPM: (ceremony) =>
    change(ceremony, 'attestationObject', (object) => object.replace(hex('id:00000000'), hex('id:FFFFF1D0'))),
  // CTAP 2 §6.1: the AAGUID of U2F is zero.
  'FIDO U2F': (ceremony) =>
    change(ceremony, 'attestationObject', (object) => {
      const start = aaguidStart(object);
      return object.slice(0, start) + '00'.repeat(16) + object.slice(start + 32);
    }),
};

/** Adds a certificate to an `x5c` of one. */
function appendCertificate(object: string, certificate: string): string {
  const start = object.indexOf(hex('x5c')) + 6;
  const length = Number.parseInt(object.slice(start + 4, start + 8), 16);
  const end = start + 8 + length * 2;
  const size = (certificate.length / 2).toString(16).padStart(4, '0');
  return `${object.slice(0, start)}82${object.slice(start + 2, end)}59${size}${certificate}${object.slice(end)}`;
}

const accepted = vectors.ceremonies
  .filter(({ name }) => !/crossOrigin|topOrigin|Ed448/.test(name))
  .map((ceremony) => {
    const twin = Object.entries(twins).find(([name]) => ceremony.name.startsWith(name))?.[1];
    return twin ? twin(ceremony) : ceremony;
  });

/** Changes one byte, at each position of short texts and at a hundred or more of long ones. */
function* flips(text: string, skip: (position: number) => boolean = () => false): Generator<string> {
  const length = text.length / 2;
  const step = length < 200 ? 1 : Math.floor(length / 100);
  for (let position = 0; position < length; position += step) {
    const flipped = bytes(text);
    flipped[position] = (flipped[position] ?? 0) ^ 1;
    if (!skip(position)) yield flipped.toString('hex');
  }
}

/** True for bytes that nothing in a registration vouches for. */
function isUnbound({ name, registration }: Ceremony, member: Member): (position: number) => boolean {
  const signed = !/No Attestation|long credential/.test(name);
  const object = registration.attestationObject;
  const aaguid = aaguidStart(object) / 2;
  const x5c = object.indexOf(hex('x5c')) / 2;
  return (position) => {
    // Client data are under the signature, or have members that other versions of browsers may add.
    if (member === 'clientDataJSON')
      return !signed && position > bytes(registration.clientDataJSON).indexOf('"crossOrigin');
    // Who made the certificates is not asked, except of Apple and Android.
    const certified = x5c > 0 && position >= x5c && position < object.indexOf(hex('authData')) / 2;
    // The statement of U2F does not sign the counter.
    const counted = name.startsWith('FIDO U2F') && position >= aaguid - 4 && position < aaguid;
    return certified || counted || (!signed && position >= aaguid - 4 && position < aaguid + 16);
  };
}

type Member = 'attestationObject' | 'clientDataJSON';

describe.each(accepted)('WebAuthn Level 3 §16: $name', (ceremony) => {
  it('registers and logs in', async () => {
    trustVectors();
    const credential = await register(ceremony);
    expect(credential).toMatchObject({ id: encode(ceremony.registration.credentialId), counter: 0 });
    expect(await logIn(ceremony, credential)).toMatchObject({ counter: 0, counterWentBack: false });
  });

  it.each(['attestationObject', 'clientDataJSON'] as const)(
    'refuses another byte in the %s',
    async (member) => {
      trustVectors();
      for (const flipped of flips(ceremony.registration[member], isUnbound(ceremony, member))) {
        await expect(register(change(ceremony, member, () => flipped))).rejects.toThrow();
      }
    },
  );

  it.each(['authenticatorData', 'clientDataJSON', 'signature'] as const)(
    'refuses another byte in the %s of a login',
    async (member) => {
      trustVectors();
      const credential = await register(ceremony);
      for (const flipped of flips(ceremony.login[member])) {
        const changed = { ...ceremony, login: { ...ceremony.login, [member]: flipped } };
        await expect(logIn(changed, credential)).rejects.toThrow();
      }
    },
  );
});

describe('what policy refuses of WebAuthn Level 3 §16', () => {
  it.each([
    ['Android Key', 'certificate'],
    ['TPM', 'Could not match TPM manufacturer "id:00000000"'],
    ['FIDO U2F', 'AAGUID'],
  ])('refuses %s as it stands', async (name, reason) => {
    trustVectors();
    const ceremony = named(new RegExp(`^${name}`));
    await expect(register(ceremony)).rejects.toThrow(reason);
    await expect(register(twins[name]?.(ceremony) as Ceremony)).resolves.toHaveProperty('id');
  });

  it.each(['Apple', 'Android Key'])('refuses %s whose certificates lead to another root', async (name) => {
    const ceremony = accepted.find((one) => one.name.startsWith(name)) as Ceremony;
    await expect(register(ceremony)).rejects.toThrow(/root certificate|trust anchor/);
    trustVectors();
    await expect(register(ceremony)).resolves.toHaveProperty('id');
  });

  it.each(['crossOrigin', 'topOrigin'])('refuses %s', async (member) => {
    const ceremony = named(new RegExp(member));
    await expect(register(ceremony)).rejects.toThrow('Ceremony ran in a frame of another origin');
    const twin = change(ceremony, 'clientDataJSON', sameOrigin);
    const credential = await register(twin);
    await expect(logIn(ceremony, credential)).rejects.toThrow('Ceremony ran in a frame of another origin');
  });

  it('refuses Ed448, which is not offered', async () => {
    const ceremony = named(/Ed448/);
    await expect(register(ceremony)).rejects.toThrow('Unexpected public key alg "-53"');
    expect(algorithms).not.toContain(-53);
  });
});

/** Client data of a page in no frame of another origin. */
function sameOrigin(clientData: string): string {
  const members = JSON.parse(bytes(clientData).toString());
  delete members.topOrigin;
  return hex(JSON.stringify({ ...members, crossOrigin: false }));
}
