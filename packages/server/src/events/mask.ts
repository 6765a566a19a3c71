/** Masks an address. Its owner can recognize it, but it contains no text that the owner chose. */
export function maskAddress(address: string): string {
  const [local = '', domain = ''] = address.split('@');
  if (!domain) return `***${address.slice(-4)}`;
  return `${local.slice(0, 1)}***@${domain.slice(0, 1)}***.${domain.slice(domain.lastIndexOf('.') + 1)}`;
}
