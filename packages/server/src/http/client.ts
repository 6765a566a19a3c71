import { type BlockList, isIPv4, isIPv6 } from 'node:net';
import type { Client } from '../service.ts';
import type { RequestParts } from './node.ts';
import type { Seen } from './probe.ts';

export interface ClientReader {
  /** Returns where a request came from, given the address of its connection. */
  read(headers: RequestParts['headers'], remoteAddress: string | undefined): Client;
  /** Returns how a request reached the server, for the operator. */
  describe(headers: RequestParts['headers'], remoteAddress: string | undefined): Seen;
  /** Returns whether an address belongs to a trusted proxy. */
  isProxy(remoteAddress: string | undefined): boolean;
}

/**
 * Returns the address of the client. Only the part of `X-Forwarded-For` that trusted proxies wrote counts: it is read
 * from its end to the first address that is not a trusted proxy. A value that is not an address, such as `unknown`,
 * ends the search.
 */
export function createClientReader(trusted: BlockList): ClientReader {
  const anyTrusted = trusted.rules.length > 0;
  const isTrusted = (address: string | undefined) =>
    anyTrusted && address !== undefined && trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  const find = (headers: RequestParts['headers'], remoteAddress = '') => {
    const connection = readAddress(remoteAddress);
    let ip = connection;
    const left = headers.get('x-forwarded-for')?.split(',') ?? [];
    const hops = left.length;
    while (left.length > 0 && isTrusted(ip)) {
      const hop = readAddress(left.pop() ?? '');
      if (!hop) break;
      ip = hop;
    }
    return { connection, ip, hops, left: left.length };
  };
  return {
    read(headers, remoteAddress) {
      const { ip } = find(headers, remoteAddress);
      return { ip: ip && network(ip), userAgent: headers.get('user-agent') ?? '' };
    },
    describe(headers, remoteAddress) {
      const { connection, ip, hops, left } = find(headers, remoteAddress);
      return { connection, client: ip, trusted: isTrusted(connection), forwarded: hops, read: hops - left };
    },
    isProxy: (remoteAddress = '') => isTrusted(readAddress(remoteAddress)),
  };
}

/** Reads an address as proxies write it: with a port, in brackets, or mapped to IPv6. Returns nothing for other text. */
function readAddress(text: string): string | undefined {
  const [, bracketed, plain = text] = /^"?(?:\[([^\]]*)\]|(\d[\d.]+))(?::\d+)?"?$/.exec(text.trim()) ?? [];
  const address = (bracketed ?? plain).trim().replace(/%.*$/, '');
  if (!isIPv6(address)) return isIPv4(address) ? address : undefined;
  return mapped(address) ?? address;
}

/** Returns the IPv4 address in an IPv4-mapped one. RFC 4291 §2.5.5.2 */
function mapped(address: string): string | undefined {
  const [a, b, c, d, e, f, high = 0, low = 0] = groupsOf(address);
  if (a || b || c || d || e || f !== 0xffff) return undefined;
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** The first 64 bits of an IPv6 address: one client usually has all addresses of such a network. */
function network(ip: string): string {
  if (!isIPv6(ip)) return ip;
  const [a = 0, b = 0, c = 0, d = 0] = groupsOf(ip);
  return `${[a, b, c, d].map((group) => group.toString(16)).join(':')}::/64`;
}

/** The eight numbers of an IPv6 address in any notation. */
function groupsOf(address: string): number[] {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = [], tail] = canonical.split('::').map((part) => (part ? part.split(':') : []));
  const filled = tail
    ? [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail]
    : [...head];
  return filled.map((group) => Number.parseInt(group, 16));
}
