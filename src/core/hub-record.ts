/** File in the master's home by which its clients find the hub; it stands there while the hub runs. */
export const HUB_RECORD_FILE = 'hub.json';

export interface HubRecord {
  readonly pid: number;
  /** Path of the unix socket that stands for the operator. */
  readonly operator: string;
  /** Of the one for the gateway’s plugin; null where systemd made the operator's and none for it. */
  readonly plugin: string | null;
  readonly address: string;
  readonly port: number;
  /** SHA-256 of the hub's public key, hex. */
  readonly hubId: string;
}
