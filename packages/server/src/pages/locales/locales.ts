import type { Language } from '../../delivery/delivery.ts';
import { findLanguage } from '../../messages/language.ts';
import de from './de.json';
import en from './en.json';
import es from './es.json';
import it from './it.json';
import pl from './pl.json';
import pt from './pt.json';
import zh from './zh.json';

/** The texts of passage-elements by their keys. `{0}`, `{1}` … stand for what it fills in. */
export type Locale = Record<keyof typeof en, string>;

const locales: Record<Language, Locale> = { de, en, es, it, pl, pt, zh };

/** Returns the texts in the language of a tag, with or without a region, if there are any. */
export function findLocale(tag: string): Locale | undefined {
  const language = findLanguage(tag);
  return language && locales[language];
}
