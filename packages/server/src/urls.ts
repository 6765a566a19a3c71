import { BlockList, isIP } from 'node:net';

/** True when a URL's host name is this machine, so that plain text never leaves it. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

const privateNetworks = new BlockList();
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
] as const) {
  privateNetworks.addSubnet(network, bits, 'ipv4');
}
privateNetworks.addSubnet('fc00::', 7, 'ipv6');
privateNetworks.addSubnet('fe80::', 10, 'ipv6');

/** True when a URL's host name cannot be one of the public internet: RFC 1918, RFC 6598, RFC 4193, link-local, and names of clusters. */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$|\.$/g, '');
  const version = isIP(host);
  if (version) return privateNetworks.check(host, version === 6 ? 'ipv6' : 'ipv4');
  return isLoopback(host) || /^[^.]+$/.test(host) || /\.(internal|local|svc)$/i.test(host);
}

/**
 * True for https, and for http that does not leave this machine.
 *
 * @param allowPrivateHttp Whether http to private addresses and names is taken as well.
 */
export function isSecureUrl({ protocol, hostname }: URL, allowPrivateHttp = false): boolean {
  if (protocol === 'https:') return true;
  return protocol === 'http:' && (isLoopback(hostname) || (allowPrivateHttp && isPrivateHost(hostname)));
}

const pageRule = 'must be an https origin, or http on this machine, without a path';

/**
 * Says what is wrong with an `authOrigin`, or nothing. Its host is the RP ID of passkeys, so it is that of a page.
 *
 * @returns What follows the setting's name in an error, with the right form where it can be told.
 */
export function findAuthOriginFault(text: string): string | undefined {
  return /^https?:/i.test(text) ? findOriginFault(text) : pageRule;
}

/**
 * Says what is wrong with an origin that may log in besides `authOrigin`, or nothing: pages, native apps as `android:apk-key-hash:…`,
 * and shells with a scheme of their own, such as `capacitor://localhost`. Origins that no client ever sends are refused.
 *
 * @returns What follows the setting's name in an error, with the right form where it can be told.
 */
export function findOriginFault(text: string): string | undefined {
  if (text.includes('*'))
    return `must name each origin in full, for example https://app.example.com: ${text} matches none`;
  if (text.startsWith('android:')) return findKeyHashFault(text);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'file:') {
    return 'must not be file: because such pages have no origin. Load them by a scheme of the shell, for example app://localhost';
  }
  if (!url?.host || originless.has(url.protocol)) {
    return 'must be an origin such as https://app.example.com, capacitor://localhost or android:apk-key-hash:…';
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !url.hostname.endsWith('.localhost'))
    return pageRule;
  const origin = originOf(url);
  return text === origin ? undefined : `must be an origin without a path, in its exact form: ${origin}`;
}

/** Schemes with a host that are not those of a page, or that run in the page that names them. */
const originless = new Set(['ws:', 'wss:', 'ftp:', 'javascript:', 'data:', 'blob:', 'about:', 'vbscript:']);

/** Returns the origin of a URL, also for schemes of shells, for which `URL.origin` is "null". */
export function originOf({ protocol, host }: URL): string {
  return `${protocol}//${host.toLowerCase()}`;
}

const keyHash = 'android:apk-key-hash:';

function findKeyHashFault(text: string): string | undefined {
  const given = text.startsWith(keyHash) ? text.slice(keyHash.length) : '';
  // `keytool` and the Play Console print hex with colons; Node reads both kinds of base64.
  const hex = /^[\da-f]{2}(:?[\da-f]{2}){31}$/i.test(given);
  const bytes = Buffer.from(hex ? given.replaceAll(':', '') : given, hex ? 'hex' : 'base64');
  const right = bytes.toString('base64url');
  if (bytes.length === 32)
    return given === right
      ? undefined
      : `must have the hash in base64url without padding: ${keyHash}${right}`;
  return `must be ${keyHash} and the SHA-256 hash of the app's signing certificate in base64url without padding, 43 characters`;
}

/**
 * True for a path in its one plain spelling. Any other spelling of a path (`//`, `\\`, dot segments, encoded letters or slashes,
 * a fragment, broken or control characters) might pass a guard in front of the server that does not read it as the server does.
 *
 * @see RFC 3986 §6.2.2
 */
export function isPlainPath(path: string): boolean {
  if (/[\\#]|\/\/|\/\.\.?(?:\/|$)/.test(path)) return false;
  if (/%(?:2[d-f]|3\d|[46][1-9a-f]|[57][\da]|5[cf]|7e)/i.test(path)) return false;
  try {
    return !/\p{Cc}/u.test(decodeURIComponent(path));
  } catch {
    return false;
  }
}
