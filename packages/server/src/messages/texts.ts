/**
 * The texts of codes and links. `{app}` is the app's name, `{code}` the code or link, `{account}` the masked address of the
 * account that a link is for, `{duration}` a span such as “5 minutes”.
 *
 * @module
 */
import type { Language, SecretKind } from '../delivery/delivery.ts';

interface KindTexts {
  subject: string;
  intro: string;
  /** Label of the button that opens the link. */
  action?: string;
  /** The whole text message. */
  sms: string;
}

type LanguageTexts = { valid: string; ignore: string } & Record<SecretKind, KindTexts>;

export const texts: Record<Language, LanguageTexts> = {
  de: {
    valid: 'Gültig für {duration}.',
    ignore:
      'Sie haben das nicht angefordert? Dann können Sie diese Nachricht ignorieren. Geben Sie sie an niemanden weiter, auch nicht an uns.',
    otp: {
      subject: 'Ihr Code für {app}',
      intro: 'Geben Sie diesen Code ein, um sich bei {app} anzumelden:',
      sms: '{code} ist Ihr Code für {app}. Geben Sie ihn an niemanden weiter.',
    },
    magic_link: {
      subject: 'Bei {app} anmelden',
      intro: 'Öffnen Sie diesen Link, um sich bei {app} anzumelden:',
      action: 'Jetzt anmelden',
      sms: 'Anmelden bei {app}: {code}',
    },
    verify_identifier: {
      subject: 'Bestätigen Sie Ihre Adresse für {app}',
      intro:
        'Das Konto {account} bei {app} möchte diese Adresse verwenden. Bestätigen Sie nur, wenn es Ihr Konto ist: Die Adresse gehört danach zu diesem Konto.',
      action: 'Adresse bestätigen',
      sms: 'Nummer für {app}-Konto {account} bestätigen: {code}',
    },
  },
  en: {
    valid: 'Valid for {duration}.',
    ignore:
      'If you did not request this, you can ignore this message. Do not share it with anyone, not even with us.',
    otp: {
      subject: 'Your code for {app}',
      intro: 'Enter this code to log in to {app}:',
      sms: '{code} is your code for {app}. Do not share it with anyone.',
    },
    magic_link: {
      subject: 'Log in to {app}',
      intro: 'Open this link to log in to {app}:',
      action: 'Log in',
      sms: 'Log in to {app}: {code}',
    },
    verify_identifier: {
      subject: 'Confirm your address for {app}',
      intro:
        'The account {account} of {app} wants to use this address. Confirm only if that account is yours: the address then belongs to it.',
      action: 'Confirm address',
      sms: 'Confirm this number for {app} account {account}: {code}',
    },
  },
  es: {
    valid: 'Válido durante {duration}.',
    ignore:
      '¿No lo ha solicitado usted? Entonces puede ignorar este mensaje. No lo comparta con nadie, tampoco con nosotros.',
    otp: {
      subject: 'Su código para {app}',
      intro: 'Introduzca este código para iniciar sesión en {app}:',
      sms: '{code} es su código para {app}. No lo comparta con nadie.',
    },
    magic_link: {
      subject: 'Inicie sesión en {app}',
      intro: 'Abra este enlace para iniciar sesión en {app}:',
      action: 'Iniciar sesión',
      sms: 'Inicie sesión en {app}: {code}',
    },
    verify_identifier: {
      subject: 'Confirme su dirección para {app}',
      intro:
        'La cuenta {account} de {app} quiere utilizar esta dirección. Confirme solo si la cuenta es suya: la dirección pasará a pertenecer a ella.',
      action: 'Confirmar dirección',
      sms: 'Confirme el número para la cuenta {account} de {app}: {code}',
    },
  },
  it: {
    valid: 'Validità: {duration}.',
    ignore:
      'Non ha fatto questa richiesta? Può ignorare il messaggio. Non lo condivida con nessuno, nemmeno con noi.',
    otp: {
      subject: 'Il Suo codice per {app}',
      intro: 'Inserisca questo codice per accedere a {app}:',
      sms: '{code} è il Suo codice per {app}. Non lo condivida con nessuno.',
    },
    magic_link: {
      subject: 'Acceda a {app}',
      intro: 'Apra questo link per accedere a {app}:',
      action: 'Accedi',
      sms: 'Acceda a {app}: {code}',
    },
    verify_identifier: {
      subject: 'Confermi il Suo indirizzo per {app}',
      intro:
        'L’account {account} di {app} vuole usare questo indirizzo. Confermi solo se l’account è Suo: l’indirizzo apparterrà a quell’account.',
      action: 'Conferma indirizzo',
      sms: 'Confermi il numero per l’account {account} di {app}: {code}',
    },
  },
  pl: {
    valid: 'Czas ważności: {duration}.',
    ignore: 'To nie Twoja prośba? Zignoruj tę wiadomość. Nie przekazuj jej nikomu, nawet nam.',
    otp: {
      subject: 'Twój kod do {app}',
      intro: 'Wpisz ten kod, aby zalogować się do {app}:',
      sms: '{code} to Twój kod do {app}. Nie podawaj go nikomu.',
    },
    magic_link: {
      subject: 'Zaloguj się do {app}',
      intro: 'Otwórz ten link, aby zalogować się do {app}:',
      action: 'Zaloguj się',
      sms: 'Zaloguj się do {app}: {code}',
    },
    verify_identifier: {
      subject: 'Potwierdź swój adres w {app}',
      intro:
        'Konto {account} w {app} chce używać tego adresu. Potwierdź tylko wtedy, gdy to Twoje konto: adres będzie do niego należeć.',
      action: 'Potwierdź adres',
      sms: 'Potwierdź numer dla konta {account} w {app}: {code}',
    },
  },
  pt: {
    valid: 'Válido por {duration}.',
    ignore:
      'Não fez este pedido? Então pode ignorar esta mensagem. Não a partilhe com ninguém, nem mesmo connosco.',
    otp: {
      subject: 'O seu código para {app}',
      intro: 'Introduza este código para entrar em {app}:',
      sms: '{code} é o seu código para {app}. Não o partilhe com ninguém.',
    },
    magic_link: {
      subject: 'Entre em {app}',
      intro: 'Abra este link para entrar em {app}:',
      action: 'Entrar',
      sms: 'Entre em {app}: {code}',
    },
    verify_identifier: {
      subject: 'Confirme o seu endereço para {app}',
      intro:
        'A conta {account} em {app} quer usar este endereço. Confirme apenas se a conta for sua: o endereço passará a pertencer-lhe.',
      action: 'Confirmar endereço',
      sms: 'Confirme o número para a conta {account} em {app}: {code}',
    },
  },
  zh: {
    valid: '有效期：{duration}。',
    ignore: '如果这不是您本人的操作，请忽略此消息。请勿将其转发给任何人，包括我们。',
    otp: {
      subject: '您的 {app} 验证码',
      intro: '请输入以下验证码登录 {app}：',
      sms: '{code} 是您的 {app} 验证码，请勿告诉任何人。',
    },
    magic_link: {
      subject: '登录 {app}',
      intro: '请打开以下链接登录 {app}：',
      action: '立即登录',
      sms: '登录 {app}：{code}',
    },
    verify_identifier: {
      subject: '请确认您在 {app} 的地址',
      intro: '{app} 账号 {account} 想使用此地址。仅当该账号属于您时才确认：确认后，此地址将归该账号所有。',
      action: '确认地址',
      sms: '请确认此号码用于 {app} 账号 {account}：{code}',
    },
  },
};
