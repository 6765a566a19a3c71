/** Why a message was not delivered. */
export type DeliveryFailure =
  | 'unreachable'
  | 'unavailable'
  | 'timeout'
  | 'certificate'
  | 'encryption'
  | 'greeting'
  | 'credentials'
  | 'rejected'
  | 'channel';

// Constant texts: answers of mail servers and webhooks quote addresses, and may quote the message.
const descriptions: Record<DeliveryFailure, string> = {
  unreachable: 'The delivery service cannot be reached',
  unavailable: 'The delivery service answered that it is unavailable',
  timeout: 'The delivery service did not answer in time',
  certificate:
    'The certificate of the delivery service is not trusted: check its host name, or set NODE_EXTRA_CA_CERTS to its CA',
  encryption: 'The delivery service answered, but not with TLS: check the port, and smtp:// or smtps://',
  greeting:
    'The delivery service refused the greeting: set PASSAGE_SMTP_NAME to the full host name of this server',
  credentials: 'The delivery service refused the credentials',
  rejected: 'The delivery service refused the message',
  channel: 'The delivery service does not support this kind of message',
};

/** A message was not delivered. The text is constant, so it may be logged. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
  readonly failure: DeliveryFailure;
  /** Status that the service answered with, SMTP or HTTP. */
  readonly status: number | undefined;

  constructor(failure: DeliveryFailure, status?: number) {
    super(descriptions[failure]);
    this.failure = failure;
    this.status = status;
  }
}

/** Returns the TLS failure that a socket's error code means, or `undefined` if the connection failed before TLS. */
export function failureOfSocket(code = ''): DeliveryFailure | undefined {
  if (/CERT|UNABLE_TO_|SELF_SIGNED/.test(code)) return 'certificate';
  // A code of OpenSSL: one side speaks TLS and the other does not.
  return /^(?:ERR_SSL|EPROTO)/.test(code) ? 'encryption' : undefined;
}
