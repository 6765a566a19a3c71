// @ts-check
// Calls to this server's Auth API, and the WebAuthn objects on the wire.

/** A failed answer. Without any answer, `status` is 0. */
export class ApiFailure extends Error {
  /**
   * @param {number} status
   * @param {{ code?: string, error?: string }} body
   * @param {number} [retryAfter] seconds
   */
  constructor(status, body, retryAfter) {
    super(body.error ?? 'No answer');
    this.status = status;
    this.code = body.code ?? '';
    this.retryAfter = retryAfter;
  }
}

const root = new URL('auth/v1/apps/', import.meta.url);

/**
 * @param {string} appId
 * @param {string} method
 * @param {string} path below the app, '' for the app itself
 * @param {object} [body]
 * @param {string} [token]
 * @returns {Promise<any>}
 */
export async function call(appId, method, path, body, token) {
  const response = await fetch(`${root}${encodeURIComponent(appId)}${path}`, {
    method,
    headers: {
      ...(body && { 'Content-Type': 'application/json' }),
      ...(token && { Authorization: `Bearer ${token}` }),
    },
    ...(body && { body: JSON.stringify(body) }),
    cache: 'no-store',
    credentials: 'omit',
  }).catch(() => {
    throw new ApiFailure(0, {});
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new ApiFailure(response.status, answer, Number(response.headers.get('Retry-After')) || undefined);
}

/**
 * Asks the browser for a new passkey.
 *
 * @param {any} options creation options as they come by JSON
 */
export async function createPasskey(options) {
  const created = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: decode(options.challenge),
      user: { ...options.user, id: decode(options.user.id) },
      excludeCredentials: (options.excludeCredentials ?? []).map(decodeDescriptor),
    },
  });
  const credential = /** @type {PublicKeyCredential} */ (created);
  const response = /** @type {AuthenticatorAttestationResponse} */ (credential.response);
  return {
    ...identity(credential),
    transports: response.getTransports?.() ?? [],
    response: {
      attestationObject: encode(response.attestationObject),
      clientDataJSON: encode(response.clientDataJSON),
    },
  };
}

/**
 * Asks the browser to log in with a passkey.
 *
 * @param {any} options request options as they come by JSON
 */
export async function usePasskey(options) {
  const found = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: decode(options.challenge),
      ...(options.allowCredentials && { allowCredentials: options.allowCredentials.map(decodeDescriptor) }),
    },
  });
  const credential = /** @type {PublicKeyCredential} */ (found);
  const response = /** @type {AuthenticatorAssertionResponse} */ (credential.response);
  return {
    ...identity(credential),
    response: {
      authenticatorData: encode(response.authenticatorData),
      clientDataJSON: encode(response.clientDataJSON),
      signature: encode(response.signature),
      userHandle: response.userHandle ? encode(response.userHandle) : '',
    },
  };
}

/** @param {PublicKeyCredential} credential */
function identity(credential) {
  return { id: credential.id, rawId: encode(credential.rawId), type: credential.type };
}

/** @param {{ id: string }} descriptor */
function decodeDescriptor(descriptor) {
  return { ...descriptor, id: decode(descriptor.id) };
}

/** @param {string} text base64url */
function decode(text) {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** @param {ArrayBuffer} bytes */
function encode(bytes) {
  const binary = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
