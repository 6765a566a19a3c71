/**
 * The texts of notices. `{app}` is the app's name, `{address}` a masked address, `{removed}` a list of `things`. They have no links:
 * users who are used to links in such mails will open a forged one.
 *
 * @module
 */
import type { Language, NoticeKind, Removed } from '../delivery/delivery.ts';

interface NoticeTexts {
  subject: string;
  intro: string;
  /** What to do about it. Default is `unexpected`. */
  advice?: string;
  /** The whole text message. */
  sms: string;
}

type LanguageTexts = { unexpected: string; things: Record<Removed, string> } & Record<
  NoticeKind,
  NoticeTexts
>;

export const noticeTexts: Record<Language, LanguageTexts> = {
  de: {
    unexpected: 'Waren Sie das nicht? Dann wenden Sie sich bitte sofort an den Support von {app}.',
    things: { passkeys: 'Passkeys', sessions: 'Sitzungen', addresses: 'Adressen', metadata: 'Profilangaben' },
    address_changed: {
      subject: 'Die Adresse Ihres Kontos bei {app} wurde geändert',
      intro: 'Codes und Links für Ihr Konto bei {app} gehen ab jetzt an {address}.',
      sms: '{app}: Ihr Konto nutzt jetzt {address}. Unerwartet? Support fragen.',
    },
    passkey_added: {
      subject: 'Neuer Passkey in Ihrem Konto bei {app}',
      intro: 'In Ihrem Konto bei {app} wurde ein Passkey hinzugefügt. Man kann sich damit anmelden.',
      sms: '{app}: Neuer Passkey in Ihrem Konto. Unerwartet? Support fragen.',
    },
    passkey_deleted: {
      subject: 'Ein Passkey Ihres Kontos bei {app} wurde gelöscht',
      intro:
        'In Ihrem Konto bei {app} wurde ein Passkey gelöscht. Wer mit ihm angemeldet war, wurde abgemeldet.',
      sms: '{app}: Ein Passkey wurde gelöscht. Unerwartet? Support fragen.',
    },
    sessions_ended: {
      subject: 'Sie wurden bei {app} überall abgemeldet',
      intro: 'Alle Sitzungen Ihres Kontos bei {app} wurden beendet. Sie können sich jederzeit neu anmelden.',
      sms: '{app}: Sie wurden überall abgemeldet. Unerwartet? Support fragen.',
    },
    refresh_reused: {
      subject: 'Eine Sitzung Ihres Kontos bei {app} wurde beendet',
      intro:
        'Der Schlüssel einer Sitzung Ihres Kontos bei {app} wurde zweimal benutzt. Vielleicht hat ihn jemand kopiert. Wir haben die Sitzung vorsorglich beendet.',
      advice:
        'Bitte melden Sie sich neu an. Wenn Ihnen in Ihrem Konto etwas unbekannt vorkommt, wenden Sie sich an den Support von {app}.',
      sms: '{app}: Sitzung beendet, evtl. wurde sie kopiert. Bitte neu anmelden.',
    },
    unproven_removed: {
      subject: 'Ihr Konto bei {app} gehört jetzt nur noch Ihnen',
      intro:
        'Sie haben mit Ihrer Anmeldung bei {app} bestätigt, dass diese Adresse Ihnen gehört. Jemand hatte sie vorher unbestätigt benutzt. Was dabei angelegt wurde, haben wir entfernt: {removed}.',
      advice: 'Haben Sie das selbst angelegt? Dann fügen Sie es nach der Anmeldung einfach wieder hinzu.',
      sms: '{app}: Was vor Ihrer Bestätigung angelegt wurde, ist entfernt.',
    },
  },
  en: {
    unexpected: 'If this was not you, contact the support of {app} right away.',
    things: { passkeys: 'passkeys', sessions: 'sessions', addresses: 'addresses', metadata: 'profile data' },
    address_changed: {
      subject: 'The address of your {app} account was changed',
      intro: 'Codes and links for your {app} account now go to {address}.',
      sms: '{app}: your account now uses {address}. Not you? Contact support.',
    },
    passkey_added: {
      subject: 'A passkey was added to your {app} account',
      intro: 'A passkey was added to your {app} account. It can be used to log in.',
      sms: '{app}: passkey added to your account. Not you? Contact support.',
    },
    passkey_deleted: {
      subject: 'A passkey of your {app} account was deleted',
      intro: 'A passkey of your {app} account was deleted. Devices that logged in with it were signed out.',
      sms: '{app}: a passkey was deleted. Not you? Contact support.',
    },
    sessions_ended: {
      subject: 'You were signed out of {app} everywhere',
      intro: 'All sessions of your {app} account were ended. You can log in again at any time.',
      sms: '{app}: you were signed out everywhere. Not you? Contact support.',
    },
    refresh_reused: {
      subject: 'A session of your {app} account was ended',
      intro:
        'The key of a session of your {app} account was used twice. Somebody may have copied it, so we ended the session.',
      advice:
        'Please log in again. If you find anything in your account that you do not recognize, contact the support of {app}.',
      sms: '{app}: a session was ended; it may have been copied. Log in again.',
    },
    unproven_removed: {
      subject: 'Your {app} account is now yours alone',
      intro:
        'By logging in to {app} you proved that this address is yours. Somebody had used it before without proof. We removed what was set up then: {removed}.',
      advice: 'If you set this up yourself, just add it again once you are logged in.',
      sms: '{app}: we removed what was set up before you proved your address.',
    },
  },
  es: {
    unexpected: 'Si no ha sido usted, póngase en contacto de inmediato con el soporte de {app}.',
    things: {
      passkeys: 'llaves de acceso',
      sessions: 'sesiones',
      addresses: 'direcciones',
      metadata: 'datos del perfil',
    },
    address_changed: {
      subject: 'Se ha cambiado la dirección de su cuenta de {app}',
      intro: 'A partir de ahora, los códigos y enlaces de su cuenta de {app} se envían a {address}.',
      sms: '{app}: su cuenta usa ahora {address}. ¿No ha sido usted? Avísenos.',
    },
    passkey_added: {
      subject: 'Nueva llave de acceso en su cuenta de {app}',
      intro: 'Se ha añadido una llave de acceso a su cuenta de {app}. Permite iniciar sesión.',
      sms: '{app}: nueva llave de acceso en su cuenta. ¿No fue usted? Avísenos.',
    },
    passkey_deleted: {
      subject: 'Se ha eliminado una llave de acceso de su cuenta de {app}',
      intro:
        'Se ha eliminado una llave de acceso de su cuenta de {app}. Se ha cerrado la sesión en los dispositivos que habían entrado con ella.',
      sms: '{app}: llave de acceso eliminada. ¿No ha sido usted? Avísenos.',
    },
    sessions_ended: {
      subject: 'Se han cerrado todas sus sesiones en {app}',
      intro:
        'Se han cerrado todas las sesiones de su cuenta de {app}. Puede volver a iniciar sesión cuando quiera.',
      sms: '{app}: se cerraron todas sus sesiones. ¿No fue usted? Avísenos.',
    },
    refresh_reused: {
      subject: 'Se ha cerrado una sesión de su cuenta de {app}',
      intro:
        'La clave de una sesión de su cuenta de {app} se ha usado dos veces. Es posible que alguien la haya copiado, por lo que hemos cerrado la sesión.',
      advice:
        'Inicie sesión de nuevo. Si encuentra en su cuenta algo que no reconoce, póngase en contacto con el soporte de {app}.',
      sms: '{app}: sesión cerrada, quizá fue copiada. Inicie sesión de nuevo.',
    },
    unproven_removed: {
      subject: 'Su cuenta de {app} ya es solo suya',
      intro:
        'Al iniciar sesión en {app} ha demostrado que esta dirección es suya. Alguien la había usado antes sin demostrarlo. Hemos eliminado lo que se creó entonces: {removed}.',
      advice: 'Si lo creó usted, basta con añadirlo de nuevo después de iniciar sesión.',
      sms: '{app}: eliminado lo que se creó antes de confirmar su dirección.',
    },
  },
  it: {
    unexpected: 'Se non è stato Lei, contatti subito l’assistenza di {app}.',
    things: {
      passkeys: 'passkey',
      sessions: 'sessioni',
      addresses: 'indirizzi',
      metadata: 'dati del profilo',
    },
    address_changed: {
      subject: 'L’indirizzo del Suo account {app} è stato modificato',
      intro: 'D’ora in poi i codici e i link del Suo account {app} arriveranno a {address}.',
      sms: '{app}: il Suo account ora usa {address}. Non è stato Lei? Ci avvisi.',
    },
    passkey_added: {
      subject: 'Nuova passkey nel Suo account {app}',
      intro: 'È stata aggiunta una passkey al Suo account {app}. Permette di accedere.',
      sms: '{app}: passkey aggiunta al Suo account. Non è stato Lei? Ci avvisi.',
    },
    passkey_deleted: {
      subject: 'Una passkey del Suo account {app} è stata eliminata',
      intro:
        'È stata eliminata una passkey del Suo account {app}. I dispositivi che l’avevano usata per accedere sono stati disconnessi.',
      sms: '{app}: una passkey è stata eliminata. Non è stato Lei? Ci avvisi.',
    },
    sessions_ended: {
      subject: 'È stato effettuato il logout da {app} su tutti i dispositivi',
      intro: 'Tutte le sessioni del Suo account {app} sono state chiuse. Può accedere di nuovo quando vuole.',
      sms: '{app}: tutte le sessioni sono chiuse. Non è stato Lei? Ci avvisi.',
    },
    refresh_reused: {
      subject: 'Una sessione del Suo account {app} è stata chiusa',
      intro:
        'La chiave di una sessione del Suo account {app} è stata usata due volte. Qualcuno potrebbe averla copiata, perciò abbiamo chiuso la sessione.',
      advice:
        'Acceda di nuovo. Se nel Suo account trova qualcosa che non riconosce, contatti l’assistenza di {app}.',
      sms: '{app}: sessione chiusa, forse era stata copiata. Acceda di nuovo.',
    },
    unproven_removed: {
      subject: 'Il Suo account {app} ora è soltanto Suo',
      intro:
        'Accedendo a {app} ha dimostrato che questo indirizzo è Suo. Qualcuno lo aveva usato prima senza dimostrarlo. Abbiamo rimosso ciò che era stato creato allora: {removed}.',
      advice: 'Se lo aveva creato Lei, basta aggiungerlo di nuovo dopo l’accesso.',
      sms: '{app}: rimosso ciò che fu creato prima della Sua conferma.',
    },
  },
  pl: {
    unexpected: 'Jeśli to nie Ty, jak najszybciej skontaktuj się z pomocą techniczną {app}.',
    things: {
      passkeys: 'klucze dostępu',
      sessions: 'sesje',
      addresses: 'adresy',
      metadata: 'dane profilu',
    },
    address_changed: {
      subject: 'Adres Twojego konta w {app} został zmieniony',
      intro: 'Kody i linki do Twojego konta w {app} będą teraz wysyłane na {address}.',
      sms: '{app}: nowy adres konta to {address}. To nie Ty? Daj nam znać.',
    },
    passkey_added: {
      subject: 'Nowy klucz dostępu na Twoim koncie w {app}',
      intro: 'Do Twojego konta w {app} dodano klucz dostępu. Można się nim logować.',
      sms: '{app}: dodano klucz dostępu do konta. To nie Ty? Daj nam znać.',
    },
    passkey_deleted: {
      subject: 'Usunięto klucz dostępu z Twojego konta w {app}',
      intro:
        'Z Twojego konta w {app} usunięto klucz dostępu. Urządzenia, które się nim zalogowały, zostały wylogowane.',
      sms: '{app}: usunięto klucz dostępu. To nie Ty? Daj nam znać.',
    },
    sessions_ended: {
      subject: 'Wylogowano Cię z {app} na wszystkich urządzeniach',
      intro:
        'Zakończono wszystkie sesje Twojego konta w {app}. Możesz zalogować się ponownie w każdej chwili.',
      sms: '{app}: wylogowano Cię wszędzie. To nie Ty? Daj nam znać.',
    },
    refresh_reused: {
      subject: 'Zakończono sesję Twojego konta w {app}',
      intro:
        'Klucz sesji Twojego konta w {app} został użyty dwa razy. Ktoś mógł go skopiować, dlatego zakończyliśmy tę sesję.',
      advice:
        'Zaloguj się ponownie. Jeśli na swoim koncie zauważysz coś nieznanego, skontaktuj się z pomocą techniczną {app}.',
      sms: '{app}: sesja zakończona, mogła być skopiowana. Zaloguj się znowu.',
    },
    unproven_removed: {
      subject: 'Twoje konto w {app} należy już tylko do Ciebie',
      intro:
        'Logując się do {app}, potwierdzasz, że ten adres należy do Ciebie. Wcześniej ktoś używał go bez potwierdzenia. Usunęliśmy to, co wtedy utworzono: {removed}.',
      advice: 'Jeśli to było Twoje, po zalogowaniu możesz dodać to ponownie.',
      sms: '{app}: usunęliśmy to, co powstało przed potwierdzeniem adresu.',
    },
  },
  pt: {
    unexpected: 'Se não foi você, contacte de imediato o apoio de {app}.',
    things: {
      passkeys: 'chaves de acesso',
      sessions: 'sessões',
      addresses: 'endereços',
      metadata: 'dados do perfil',
    },
    address_changed: {
      subject: 'O endereço da sua conta em {app} foi alterado',
      intro: 'A partir de agora, os códigos e os links da sua conta em {app} são enviados para {address}.',
      sms: '{app}: a sua conta usa agora {address}. Não foi você? Avise-nos.',
    },
    passkey_added: {
      subject: 'Nova chave de acesso na sua conta em {app}',
      intro: 'Foi adicionada uma chave de acesso à sua conta em {app}. Permite iniciar sessão.',
      sms: '{app}: nova chave de acesso na sua conta. Não foi você? Avise-nos.',
    },
    passkey_deleted: {
      subject: 'Foi eliminada uma chave de acesso da sua conta em {app}',
      intro:
        'Foi eliminada uma chave de acesso da sua conta em {app}. A sessão foi terminada nos dispositivos que a usaram para entrar.',
      sms: '{app}: chave de acesso eliminada. Não foi você? Avise-nos.',
    },
    sessions_ended: {
      subject: 'Todas as suas sessões em {app} foram terminadas',
      intro:
        'Todas as sessões da sua conta em {app} foram terminadas. Pode voltar a iniciar sessão quando quiser.',
      sms: '{app}: sessões terminadas em todo o lado. Não foi você? Avise-nos.',
    },
    refresh_reused: {
      subject: 'Foi terminada uma sessão da sua conta em {app}',
      intro:
        'A chave de uma sessão da sua conta em {app} foi usada duas vezes. Alguém pode tê-la copiado, por isso terminámos a sessão.',
      advice:
        'Inicie sessão novamente. Se encontrar na sua conta algo que não reconhece, contacte o apoio de {app}.',
      sms: '{app}: sessão terminada, talvez copiada. Inicie sessão novamente.',
    },
    unproven_removed: {
      subject: 'A sua conta em {app} agora é só sua',
      intro:
        'Ao iniciar sessão em {app}, provou que este endereço é seu. Alguém o tinha usado antes sem o provar. Removemos o que foi criado nessa altura: {removed}.',
      advice: 'Se foi você que o criou, basta adicioná-lo de novo depois de iniciar sessão.',
      sms: '{app}: removemos o que foi criado antes da sua confirmação.',
    },
  },
  zh: {
    unexpected: '如果这不是您本人的操作，请立即联系 {app} 的客服。',
    things: { passkeys: '通行密钥', sessions: '登录会话', addresses: '地址', metadata: '个人资料' },
    address_changed: {
      subject: '您的 {app} 账号地址已更改',
      intro: '今后，您的 {app} 账号的验证码和链接将发送至 {address}。',
      sms: '{app}：您的账号现已使用 {address}。如非本人操作，请联系客服。',
    },
    passkey_added: {
      subject: '您的 {app} 账号新增了通行密钥',
      intro: '您的 {app} 账号新增了一个通行密钥，可用于登录。',
      sms: '{app}：您的账号新增了通行密钥。如非本人操作，请联系客服。',
    },
    passkey_deleted: {
      subject: '您的 {app} 账号的一个通行密钥已删除',
      intro: '您的 {app} 账号的一个通行密钥已被删除。使用该密钥登录的设备已退出登录。',
      sms: '{app}：一个通行密钥已删除。如非本人操作，请联系客服。',
    },
    sessions_ended: {
      subject: '您已在所有设备上退出 {app}',
      intro: '您的 {app} 账号的所有登录会话均已结束。您可以随时重新登录。',
      sms: '{app}：您已在所有设备上退出登录。如非本人操作，请联系客服。',
    },
    refresh_reused: {
      subject: '您的 {app} 账号的一个登录会话已结束',
      intro: '您的 {app} 账号的一个会话密钥被使用了两次，可能已被他人复制，因此我们结束了该会话。',
      advice: '请重新登录。如果发现账号中有任何您不认识的内容，请联系 {app} 的客服。',
      sms: '{app}：一个登录会话可能已被复制，现已结束。请重新登录。',
    },
    unproven_removed: {
      subject: '您的 {app} 账号现在仅属于您',
      intro:
        '您登录 {app} 时已证明此地址属于您。此前有人在未经证明的情况下使用过该地址，我们已移除当时创建的内容：{removed}。',
      advice: '如果这些内容是您本人创建的，登录后重新添加即可。',
      sms: '{app}：您确认地址之前创建的内容已被移除。',
    },
  },
};
