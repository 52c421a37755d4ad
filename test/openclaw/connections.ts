/** The first frame of one who wants to steer the gateway. */
export function operatorConnect(token: string): object {
  return {
    type: 'req',
    id: '1',
    method: 'connect',
    params: {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: 'gateway-client', version: '1', platform: 'linux', mode: 'backend' },
      role: 'operator',
      scopes: ['operator.admin'],
      caps: [],
      auth: { token },
    },
  };
}
