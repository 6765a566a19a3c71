import { type BlockList, isIPv6 } from 'node:net';
import type { Client } from '../service.ts';

interface ClientReader {
  /** Says where a request came from. */
  note(request: Request, remoteAddress: string | undefined): void;
  read(request: Request): Client;
}

/**
 * Finds out who sent a request. `X-Forwarded-For` counts only as far as proxies that are known wrote it: it is read from its end, up to
 * the first address that is none of theirs.
 */
export function createClientReader(trusted: BlockList): ClientReader {
  const addresses = new WeakMap<Request, string>();
  const isTrusted = (address: string) => trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  return {
    note(request, remoteAddress) {
      if (remoteAddress) addresses.set(request, remoteAddress.replace(/^::ffff:(?=\d+\.)/, ''));
    },
    read(request) {
      let ip = addresses.get(request);
      const hops = (request.headers.get('x-forwarded-for') ?? '').split(',').map((hop) => hop.trim());
      while (ip !== undefined && isTrusted(ip)) {
        const hop = hops.pop();
        if (!hop) break;
        ip = hop.replace(/^::ffff:(?=\d+\.)/, '');
      }
      return { ip: ip && network(ip), userAgent: request.headers.get('user-agent') ?? '' };
    },
  };
}

/** Of IPv6 the first 64 bits: whoever has one address there has them all. */
function network(ip: string): string {
  if (!isIPv6(ip)) return ip;
  const [head = '', tail] = ip.split('::');
  const groups = head ? head.split(':') : [];
  const last = tail ? tail.split(':') : [];
  const filled =
    tail === undefined ? groups : [...groups, ...Array(8 - groups.length - last.length).fill('0'), ...last];
  return `${filled
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
