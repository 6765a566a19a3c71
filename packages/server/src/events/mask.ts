/** Shows an address to somebody who may not know it: its owner recognizes it, and it has no text that its owner chose. */
export function maskAddress(address: string): string {
  const [local = '', domain = ''] = address.split('@');
  if (!domain) return `***${address.slice(-4)}`;
  return `${local.slice(0, 1)}***@${domain.slice(0, 1)}***.${domain.slice(domain.lastIndexOf('.') + 1)}`;
}
