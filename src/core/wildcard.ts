/** Whether a word fits a pattern in which `*` stands for any part, an empty one too. Takes linear time. */
export function matchesWord(pattern: string, word: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return pattern === word;
  if (!word.startsWith(head) || !word.endsWith(tail) || word.length < head.length + tail.length) return false;
  let middle = word.slice(head.length, word.length - tail.length);
  for (const part of rest) {
    const at = middle.indexOf(part);
    if (at < 0) return false;
    middle = middle.slice(at + part.length);
  }
  return true;
}
