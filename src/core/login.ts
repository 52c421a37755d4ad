/** File in an operator's home by which the hub is found that its key is known to. */
export const LOGIN_FILE = 'login.json';
/** The operator's private key, in the same home. */
export const OPERATOR_KEY_FILE = 'operator.key';

/** An operator's login from another machine than the master. */
export interface Login {
  /** host:port of the hub. */
  readonly hub: string;
  /** SHA-256 of the hub's public key, hex, which the person confirmed. */
  readonly hubId: string;
  /** As the operator was approved. */
  readonly name: string;
}
