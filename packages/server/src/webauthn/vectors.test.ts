/**
 * Test vectors of WebAuthn Level 3 §16: https://www.w3.org/TR/webauthn-3/#sctn-test-vectors. Of the ceremonies there these are the ones
 * whose algorithms this server offers, by every attestation that it may meet with them.
 *
 * @module
 */
import { describe, expect, it } from 'vitest';
import type { NewCredential } from './verify.ts';
import { verifyAssertion, verifyAttestation } from './verify.ts';

interface Vector {
  name: string;
  registration: { challenge: string; extra?: string; attestationObject: string; credentialId: string };
  login: { challenge: string; extra?: string; authenticatorData: string; signature: string };
}

const origin = 'https://example.org';
const rpIdHash = 'bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b5';

// §16.10: a key made of two Mersenne primes, too regular to be typed without a slip.
const modulus = ((2n ** 1279n - 1n) * (2n ** 2203n - 1n)).toString(16).padStart(872, '0');

const packedHead = 'a363666d74667061636b65646761747453746d74a363616c6726637369675848';
const certificateHead =
  '0300a06082a8648ce3d0403023062311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c0357334331253023060355040b0c1c41757468656e74696361746f72204174746573746174696f6e204341310b30090603550406130241413020170d3234303130313030303030305a180f33303234303130313030303030305a305f311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c0357334331223020060355040b0c1941757468656e74696361746f72204174746573746174696f6e310b30090603550406130241413059301306072a8648ce3d020106082a8648ce3d03010703420004';
const certificateMiddle =
  'a360305e300c0603551d130101ff04023000300e0603551d0f0101ff040403020780301d0603551d0e04160414';
const certificateTail =
  '301f0603551d2304183016801445aff715b0dd786741fee996ebc16547a3931b1e300a06082a8648ce3d040302';

const vectors: Vector[] = [
  {
    name: '§16.2 ES256, no attestation',
    registration: {
      challenge: '00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130',
      extra: 'BkQeDjdcTBrXBiAwJTLE5Q',
      credentialId: 'f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4',
      attestationObject: `a363666d74646e6f6e656761747453746d74a068617574684461746158a4${rpIdHash}59000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220`,
    },
    login: {
      challenge: '39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408',
      authenticatorData: `${rpIdHash}1900000000`,
      signature:
        '3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87',
    },
  },
  {
    name: '§16.3 ES256, self attestation',
    registration: {
      challenge: '7869c2b772d4b58eba9378cf8f29e26cf935aa77df0da89fa99c0bdc0a76f7e5',
      extra: 'U9hTXvKE2URkMnb_0xYHVg',
      credentialId: '455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58c',
      attestationObject: `a363666d74667061636b65646761747453746d74a263616c672663736967584630440220067a20754ab925005dbf378097c92120031581c73228d1fb4f5b881bcd7da98302207fc7b147558c7c0eba3af18bd9d121fa3d3a26d17fe3f220272178f473b6006d68617574684461746158a4${rpIdHash}5d00000000df850e09db6afbdfab51697791506cfc0020455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58ca5010203262001215820eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5225820927b8aa427a2be1b8834d233a2d34f61f13bfd44119c325d5896e183fee484f2`,
    },
    login: {
      challenge: '4478a10b1352348dd160c1353b0d469b5db19eb91c27f7dfa6fed39fe26af20b',
      extra: 'gTb53rz6EhSWomXGzimC1Q',
      authenticatorData: `${rpIdHash}0900000000`,
      signature:
        '304402203310b9431903c401f1be2bdc8d23a4007682dbbddcf846994947b7f465daf84002204e94dd00047b316061b3b99772b7efd95994a83ef584b3b6b825ea3550251b66',
    },
  },
  {
    name: '§16.7 ES256, packed attestation',
    registration: {
      challenge: 'c1184a5fddf8045e13dc47f54b61f5a656b666b59018f16d870e9256e9952012',
      extra: '9a8bNYjKCgWrBXU-fCl1ag',
      credentialId: 'c9a6f5b3462d02873fea0c56862234f99f081728084e511bb7760201a89054a5',
      attestationObject: `a363666d74667061636b65646761747453746d74a363616c6726637369675847304502203f19ec4b229f46ab8c45eff29b904ff10c0390dc40bf1216f04a78f4ceba3425022100fe7041a32759aff05a0f9f26c70a999c7a284451ba89234a1d3483c25e21925b637835638159022530820221308201c8a00302010202110088c220f83c8ef1feafe94deae45faad${certificateHead}a91ba4389409dd38a428141940ca8feb1ac0d7b4350558104a3777a49322f3798440f378b3398ab2d3bb7bf91322c92eb23556f59ad0a836fec4c7663b0e4dc3${certificateMiddle}a589ba72d060842ab11f74fb246bdedab16f9b9b${certificateTail}034700304402201726b9d85ecd8a5ed51163722ca3a20886fd9b242a0aa0453d442116075defd502207ef471e530ac87961a88a7f0d0c17b091ffc6b9238d30f79f635b417be5910e768617574684461746158a4${rpIdHash}4d00000000876ca4f52071c3e9b25509ef2cdf7ed60020c9a6f5b3462d02873fea0c56862234f99f081728084e511bb7760201a89054a5a50102032620012158201cf27f25da591208a4239c2e324f104f585525479a29edeedd830f48e77aeae522582059e4b7da6c0106e206ce390c93ab98a15a5ec3887e57f0cc2bece803b920c423`,
    },
    login: {
      challenge: 'b1106fa46a57bef1781511c0557dc898a03413d5f0f17d244630c194c7e1adb5',
      extra: 'AZMwyMxIbD8-uguFNp6r8Q',
      authenticatorData: `${rpIdHash}0d00000000`,
      signature:
        '30450220694969d3ee928de6f02ef23a9c644d7d779916451734a94b432542f498a1ebe90221008b0819c824218a97152cd099c55bfb1477b29d900a49a64018314f9bfccda163',
    },
  },
  {
    name: '§16.10 RS256, packed attestation',
    registration: {
      challenge: 'bea8f0770009bd57f2c0df6fea9f743a27e4b61bbe923c862c7aad7a9fc8e4a6',
      credentialId: '992a18acc83f67533600c1138a4b4c4bd236de13629cf025ed17cb00b00b74df',
      attestationObject: `a363666d74667061636b65646761747453746d74a363616c672663736967584730450221008b8c5c6ea8c142c032e0be69e1353d44461c5c9109941cdda951b976eb95b6b302204d52f406c19e254b3ff9589bd18070fb055ac8db12fdd0a6734bea9d7168e900637835638159022630820222308201c7a00302010202101f6fb7a5ece81b45896b983a995da5f3${certificateHead.slice(1)}b7b36b7542a11120b443c794d0c99fdc25a06b76586413d81e086163ef6fe147a557afc34e2861d9057d6d465d4705a0310550bdeeb5f35ee35b9425ab859981${certificateMiddle}fb37b647bccfb9e54d989eaaacc1633868703fb3${certificateTail}0349003046022100b86bc129d92afca7d9869a39f70f139a305b4073a39eb654d81424bed5757d91022100cf9f7c60cab7c4a7d3e7f0020f281a93d4fd0a9f95121b989f56932a68885fba68617574684461746159021b${rpIdHash}5d00000000428f8878298b9862a36ad8c7527bfef20020992a18acc83f67533600c1138a4b4c4bd236de13629cf025ed17cb00b00b74dfa4010303390100205901b4${modulus}2143010001`,
    },
    login: {
      challenge: '295f59f5fa8fe62c5aca9e27626c78c8da376ae6d8cd2dd29aebad601e1bc4c5',
      authenticatorData: `${rpIdHash}1900000000`,
      signature:
        '01063d52d7c39b4d432fc7063c5d93e582bdcb16889cd71f888d67d880ea730a428498d3bc8e1ee11f2b1ecbe6c292b118c55ffaaddefa8cad0a54dd137c51f1eec673f1bb6c4d1789d6826a222b22d0f585fc901fdc933212e579d199b89d672aa44891333e6a1355536025e82b25590256c3538229b55737083b2f6b9377e49e2472f11952f79fdd0da180b5ffd901b4049a8f081bb40711bef76c62aed943571f2d0575304cb549d68d8892f95086a30f93716aee818f8dc06e96c0d5e0ed4cfa9fd8773d90464b68cf140f7986666ff9c9e3302acd0535d60d769f465e2ab57ef8aabc89fccfef7ba32a64154a8b3d26be2298f470b8cc5377dbe3dfd4b0b45f8f01e63bde6cfc76b62771f9b70aa27cf40152cad93aa5acd784fd4b90f676e2ea828d0bf2400aebbaae4153e5838f537f88b6228346782a93a899be66ec77de45b3efcf311da6321c92e6b0cd11bfe653bf3e98cee8e341f02d67dbb6f9c98d9e8178090cfb5b70fbc6d541599ac794ae2f1d4de1286ec8de8c2daf7b1d15c8438e90d924df5c19045220a4c8438c1b979bbe016cf3d0eeec23c3999d4882cc645b776de930756612cdc6dd398160ff02a6',
    },
  },
  {
    name: '§16.11 Ed25519, packed attestation',
    registration: {
      challenge: 'a8abf9dabdc6b0df63466b39bda9e8a34a34e185337a59f1c579990676d3b3bd',
      extra: 'B_DT5g7ZD_-9OTLYX5IvEQ',
      credentialId: 'ce9f840ed96599580cd140fbc7bb3230633f50f61041aff73308ae71caa8a2bd',
      attestationObject: `${packedHead}3046022100d83f60bd80269537583218858aefb03ac57d45fa06e42feaae332d187f62da9f022100a02bd3cb6f7e1d283c93bad1f3f4b5a4c0494463da7fdbf256949116754d1f17637835638159022730820223308201c8a003020102021100b2cfc9ea33c8643b0e1a760463eaf164${certificateHead.slice(1)}dd2b7a564b73b8c0b81c4c62e521925c4d1198ec9f583dbf1eebe364b65cd9c29a9bdf346aaa81fb6b9507e5249a52fdaf8e39e26b0b7dc45992a7e233b70f70${certificateMiddle}0ae27546bc7eccb1b4b597bd354f0c0b1f1f8f8e${certificateTail}0349003046022100a0d434ecb5fc3bfd7da5f41904517ad2836249f561bd834ba7a438a8ab7a4ce8022100fac845bb7a02513b58e9f319654dbe49b0f02b95835bac568c71f8a18cdde9ab6861757468446174615881${rpIdHash}4100000000d5aa33581e8ca478e20fe713f5d32ff20020ce9f840ed96599580cd140fbc7bb3230633f50f61041aff73308ae71caa8a2bda401010327200621582044e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832`,
    },
    login: {
      challenge: '895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2',
      authenticatorData: `${rpIdHash}0100000000`,
      signature:
        'f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cfdfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b',
    },
  },
];

const encode = (hex: string) => Buffer.from(hex, 'hex').toString('base64url');

function clientData(type: string, challenge: string, extra: string | undefined): string {
  const extraData =
    extra && `clientDataJSON may be extended with additional fields in the future, such as this: ${extra}`;
  const members = {
    type,
    challenge: encode(challenge),
    origin,
    crossOrigin: false,
    ...(extraData && { extraData }),
  };
  return Buffer.from(JSON.stringify(members)).toString('base64url');
}

function expectation(challenge: string) {
  return {
    challenge: (given: string) => given === encode(challenge),
    origins: [origin],
    rpId: 'example.org',
    userVerification: 'preferred' as const,
  };
}

function register(
  { registration }: Vector,
  change: (object: string) => string = (object) => object,
): Promise<NewCredential> {
  const { challenge, extra, attestationObject, credentialId } = registration;
  const id = encode(credentialId);
  const response = {
    attestationObject: encode(change(attestationObject)),
    clientDataJSON: clientData('webauthn.create', challenge, extra),
  };
  return verifyAttestation({ id, rawId: id, type: 'public-key', response }, expectation(challenge));
}

function logIn({ login }: Vector, credential: NewCredential, signature = login.signature) {
  const { id } = credential;
  const response = {
    authenticatorData: encode(login.authenticatorData),
    clientDataJSON: clientData('webauthn.get', login.challenge, login.extra),
    signature: encode(signature),
  };
  return verifyAssertion(
    { id, rawId: id, type: 'public-key', response },
    credential,
    expectation(login.challenge),
  );
}

describe.each(vectors)('WebAuthn Level 3 $name', (vector) => {
  it('registers and logs in', async () => {
    const credential = await register(vector);
    expect(credential).toMatchObject({ id: encode(vector.registration.credentialId), counter: 0 });
    expect(await logIn(vector, credential)).toMatchObject({ counter: 0 });
  });

  it('refuses another signature, and another attestation', async () => {
    const credential = await register(vector);
    const { signature } = vector.login;
    const last = (Number.parseInt(signature.slice(-2), 16) ^ 1).toString(16).padStart(2, '0');
    await expect(logIn(vector, credential, signature.slice(0, -2) + last)).rejects.toThrow();
    // The type of the attestation, "none" or "packed", becomes another.
    await expect(
      register(vector, (object) =>
        object.replace(/(6e6f6e65|7061636b6564)/, (format) => `${format.slice(0, -2)}78`),
      ),
    ).rejects.toThrow();
  });
});
