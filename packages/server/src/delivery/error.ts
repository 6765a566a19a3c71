/** Why a message could not be handed over. */
export type DeliveryFailure = 'unreachable' | 'timeout' | 'credentials' | 'rejected' | 'channel';

// Fixed texts: the answers of mail servers and webhooks quote addresses, and may quote the message.
const descriptions: Record<DeliveryFailure, string> = {
  unreachable: 'The delivery service cannot be reached',
  timeout: 'The delivery service did not answer in time',
  credentials: 'The delivery service refused the credentials',
  rejected: 'The delivery service refused the message',
  channel: 'The delivery service does not carry this kind of message',
};

/** A message could not be handed over. Its text is constant, so it may be logged. */
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
