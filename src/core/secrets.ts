/** Join tokens, keys for models, bearer credentials, OpenClaw's setup codes and tokens, tokens of Telegram bots, private keys. */
const SECRETS =
  /ocf1\.[0-9a-f]{64}\.[\w-]+|\bocfm_[\w-]{16,}|\bBearer\s+[\w.~+/=-]+|oc-pair:\/\/[^\s"']+|\beyJ[\w-]{20,}|(?<!\d)\d{6,12}:[\w-]{30,64}|-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g;

/** The one place where secrets are cut from what is printed or logged. */
export function scrub(text: string): string {
  return text.replace(SECRETS, '[secret]');
}
