import { type Language, languages } from '../delivery/delivery.ts';

/**
 * Returns the language of a tag such as `pt-BR`, by its first part, or `undefined` if there are no texts in it.
 *
 * @see RFC 5646 §2.1
 */
export function findLanguage(tag: string): Language | undefined {
  const primary = tag.split(/[-_]/, 1)[0]?.toLowerCase();
  return languages.find((language) => language === primary);
}
