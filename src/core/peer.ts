/** A machine of the tailnet, as far as a person can name it. */
export interface NamedPeer {
  /** Full name, without the dot at its end. */
  readonly dnsName: string | null;
  readonly addresses: readonly string[];
}

/**
 * The machine that a word means: its full name, the first label of that, or one of its addresses. Null where there is
 * none, and where there are several: one of them would be a guess.
 */
export function peerNamed<P extends NamedPeer>(peers: readonly P[], word: string): P | null {
  const wanted = word.toLowerCase().replace(/\.$/, '');
  const named = peers.filter(({ dnsName, addresses }) => {
    const full = dnsName?.toLowerCase();
    return full === wanted || full?.split('.', 1)[0] === wanted || addresses.includes(wanted);
  });
  return named.length === 1 ? named[0]! : null;
}
