/** How a message stands that was sent to an agent. */
interface MessageStanding {
  readonly state: 'waiting' | 'delivered' | 'refused';
  readonly node: { readonly name: string };
  readonly agent: string | null;
  readonly problem: string | null;
}

/** The same in one line. */
export function messageText({ state, node, agent, problem }: MessageStanding): string {
  const to = agent === null ? node.name : `${node.name}/${agent}`;
  const why = problem === null ? '' : `: ${problem}`;
  switch (state) {
    case 'delivered':
      return `${to} has it`;
    case 'waiting':
      return `kept for ${to} until it has it, seven days at most${why}`;
    case 'refused':
      return `${to} refused it${why}`;
  }
}
