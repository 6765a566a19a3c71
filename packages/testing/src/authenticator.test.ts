import { generateKeyPairSync } from 'node:crypto';
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import { describe, expect, it } from 'vitest';
import {
  type Algorithm,
  type AssertionChanges,
  type AuthenticatorOptions,
  type CreationChanges,
  VirtualAuthenticator,
} from './index.ts';

const origin = 'https://app.example.com';
const rpID = 'example.com';

function device(options: Partial<AuthenticatorOptions> = {}): VirtualAuthenticator {
  return new VirtualAuthenticator({ origin, ...options });
}

async function register(phone: VirtualAuthenticator, changes?: CreationChanges) {
  const options = await generateRegistrationOptions({
    rpName: 'Example',
    rpID,
    userName: 'ada@example.com',
    userID: new Uint8Array(Buffer.from('8Zf1aQ4tT0cXr2WbKs7dLm9P', 'base64url')),
    supportedAlgorithmIDs: [-8, -7, -257],
  });
  const { transports, ...response } = await phone.create(options, changes);
  const { verified, registrationInfo } = await verifyRegistrationResponse({
    response: { ...response, clientExtensionResults: {} },
    expectedChallenge: options.challenge,
    expectedOrigin: origin,
    expectedRPID: rpID,
    requireUserVerification: false,
    supportedAlgorithmIDs: [-8, -7, -257],
  });
  if (!verified) throw new Error('not verified');
  return { ...registrationInfo, transports, userId: options.user.id };
}

async function login(
  phone: VirtualAuthenticator,
  { credential }: Awaited<ReturnType<typeof register>>,
  changes?: AssertionChanges,
) {
  const options = await generateAuthenticationOptions({ rpID });
  const response = await phone.get(options, changes);
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response: { ...response, clientExtensionResults: {} },
    expectedChallenge: options.challenge,
    expectedOrigin: origin,
    expectedRPID: rpID,
    credential,
    requireUserVerification: false,
  });
  if (!verified) throw new Error('not verified');
  return { ...authenticationInfo, userHandle: response.response.userHandle };
}

// An implementation that is not ours judges the answers.
describe('VirtualAuthenticator', () => {
  it.each<Algorithm>(['ES256', 'RS256', 'EdDSA'])('registers and logs in with %s', async (algorithm) => {
    const phone = device({ algorithms: [algorithm] });
    const registered = await register(phone);
    expect(registered).toMatchObject({ fmt: 'none', userVerified: true, transports: ['internal'] });
    expect(phone.passkeys).toMatchObject([{ algorithm, rpId: rpID, userName: 'ada@example.com' }]);
    const info = await login(phone, registered);
    expect(info).toMatchObject({ newCounter: 1, userVerified: true, userHandle: registered.userId });
  });

  it('uses the first algorithm offered that it knows', async () => {
    const phone = device({ algorithms: ['RS256', 'ES256'] });
    await register(phone);
    expect(phone.passkeys[0]?.algorithm).toBe('ES256');
  });

  it.each<Algorithm>(['ES256', 'RS256', 'EdDSA'])('attests itself with %s', async (algorithm) => {
    const phone = device({ algorithms: [algorithm], attestation: 'packed' });
    expect(await register(phone)).toMatchObject({ fmt: 'packed' });
  });

  it('reports backup flags and leaves the counter of a synced passkey at 0', async () => {
    const phone = device({ backupEligible: true });
    const registered = await register(phone);
    expect(registered).toMatchObject({ credentialDeviceType: 'multiDevice', credentialBackedUp: true });
    phone.backedUp = false;
    expect(await login(phone, registered)).toMatchObject({ newCounter: 0, credentialBackedUp: false });
  });

  it('does not verify its user when it cannot', async () => {
    const key = device({ userVerification: false, attachment: 'cross-platform' });
    expect(await register(key)).toMatchObject({ userVerified: false, transports: ['usb'] });
  });

  it('gives no user handle for a passkey that cannot be discovered', async () => {
    const key = device({ discoverable: false });
    const { id } = await key.create(creation);
    const answer = await key.get({ challenge: 'AAAA', rpId: rpID, allowCredentials: [{ id }] });
    expect(answer.response.userHandle).toBe('');
  });

  it('answers with the newest passkey that is allowed', async () => {
    const phone = device();
    const first = await phone.create(creation);
    const second = await phone.create(creation);
    expect((await phone.get({ challenge: 'AAAA', rpId: rpID })).id).toBe(second.id);
    const allowCredentials = [{ id: first.id }];
    expect((await phone.get({ challenge: 'AAAA', rpId: rpID, allowCredentials })).id).toBe(first.id);
  });
});

const creation = {
  challenge: 'AAAA',
  rp: { id: rpID, name: 'Example' },
  user: { id: 'AAAA', name: 'ada', displayName: 'ada' },
  pubKeyCredParams: [{ alg: -7, type: 'public-key' }],
};

describe('refusals of the browser', () => {
  it.each([
    ['SecurityError', {}, { rp: { id: 'ample.com', name: '' } }],
    ['NotSupportedError', { algorithms: ['EdDSA'] }, {}],
    ['NotAllowedError', { discoverable: false }, { authenticatorSelection: { residentKey: 'required' } }],
    ['NotAllowedError', { discoverable: false }, { authenticatorSelection: { requireResidentKey: true } }],
    [
      'NotAllowedError',
      { userVerification: false },
      { authenticatorSelection: { userVerification: 'required' } },
    ],
    ['NotAllowedError', {}, { authenticatorSelection: { authenticatorAttachment: 'cross-platform' } }],
  ] as const)('throws %s for %j and %j', async (name, options, wanted) => {
    await expect(device(options).create({ ...creation, ...wanted })).rejects.toMatchObject({ name });
    await expect(device().create(creation)).resolves.toHaveProperty('type', 'public-key');
  });

  it('throws InvalidStateError for a passkey that is excluded', async () => {
    const phone = device();
    const { id } = await phone.create(creation);
    const again = { ...creation, excludeCredentials: [{ id }] };
    await expect(phone.create(again)).rejects.toMatchObject({ name: 'InvalidStateError' });
    await expect(device().create(again)).resolves.toHaveProperty('type', 'public-key');
  });

  it('throws NotAllowedError without a passkey for the site', async () => {
    const phone = device();
    await phone.create(creation);
    const other = { challenge: 'AAAA', rpId: 'app.example.com' };
    await expect(phone.get(other)).rejects.toMatchObject({ name: 'NotAllowedError' });
    const unknown = { challenge: 'AAAA', rpId: rpID, allowCredentials: [{ id: 'AAAA' }] };
    await expect(phone.get(unknown)).rejects.toMatchObject({ name: 'NotAllowedError' });
  });

  it('lets the origin of a native app use any RP ID', async () => {
    const phone = device({ origin: 'android:apk-key-hash:AAAA' });
    await expect(phone.create(creation)).resolves.toHaveProperty('type', 'public-key');
  });
});

describe('changes', () => {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  it.each<[string, CreationChanges, RegExp]>([
    ['type', { clientData: { type: 'webauthn.get' } }, /type/],
    ['challenge', { clientData: { challenge: 'AAAA' } }, /challenge/],
    ['origin', { clientData: { origin: `${origin}/` } }, /origin/],
    ['RP ID', { rpId: 'example.org' }, /RP ID/],
    ['user presence', { flags: { up: false } }, /present/],
    ['backup state', { flags: { bs: true } }, /backed up/],
    ['attested data', { flags: { at: false } }, /./],
    ['algorithm of the key', { coseKey: (key) => key.set(3, -999) }, /alg/],
    ['key bytes', { coseKey: () => Buffer.from([0xa0]) }, /./],
    ['format', { format: 'unheard-of' }, /[Ff]ormat/],
    ['statement', { statement: (statement) => statement.set('sig', Buffer.alloc(1)) }, /statement/],
    ['trailing bytes', { authenticatorData: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]) }, /Leftover/],
    ['attestation object', { attestationObject: (bytes) => bytes.subarray(0, 40) }, /./],
    ['whole answer', { answer: (answer) => ({ ...answer, id: 'AAAA' }) }, /ID/],
  ])('gets the %s of a registration wrong', async (_name, changes, message) => {
    await expect(register(device({ algorithms: ['ES256'] }), changes)).rejects.toThrow(message);
    await expect(register(device({ algorithms: ['ES256'] }))).resolves.toBeTruthy();
  });

  it('gets the signature of an attestation wrong', async () => {
    const phone = device({ attestation: 'packed', algorithms: ['EdDSA'] });
    await expect(register(phone, { signature: () => Buffer.alloc(64) })).rejects.toThrow('not verified');
  });

  it('uses the key pair, algorithm and credential ID given', async () => {
    const phone = device();
    const credentialId = Buffer.alloc(1024, 1);
    await expect(register(phone, { algorithm: 'ES256', keyPair: own, credentialId })).resolves.toBeTruthy();
    expect(phone.passkeys[0]).toMatchObject({
      privateKey: own.privateKey,
      id: credentialId.toString('base64url'),
    });
  });

  it.each<[string, AssertionChanges, RegExp]>([
    ['type', { clientData: { type: 'webauthn.create' } }, /type/],
    ['origin', { clientData: { origin: undefined } }, /origin/],
    ['RP ID', { rpId: 'example.org' }, /RP ID/],
    ['user presence', { flags: { up: false } }, /present/],
    ['signature', { signature: (bytes) => bytes.fill(0) }, /./],
    ['counter', { counter: 0 }, /counter/],
    ['whole answer', { answer: (answer) => ({ ...answer, rawId: 'AAAA' }) }, /ID/],
  ])('gets the %s of a login wrong', async (_name, changes, message) => {
    const phone = device();
    const registered = await register(phone);
    const { newCounter } = await login(phone, registered);
    registered.credential.counter = newCounter;
    await expect(login(phone, registered, changes)).rejects.toThrow(message);
    await expect(login(phone, registered)).resolves.toMatchObject({ newCounter: 3 });
  });

  it('answers with a passkey that was not asked for, and with another user handle', async () => {
    const phone = device();
    await phone.create(creation);
    await phone.create(creation);
    const [first] = phone.passkeys;
    const allowCredentials = [{ id: phone.passkeys[1]?.id ?? '' }];
    const options = { challenge: 'AAAA', rpId: rpID, allowCredentials };
    const answer = await phone.get(options, { passkey: first, userHandle: 'BBBB' });
    expect(answer).toMatchObject({ id: first?.id, response: { userHandle: 'BBBB' } });
  });
});
