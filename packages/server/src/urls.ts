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
