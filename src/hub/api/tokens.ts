import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { fingerprint } from '#src/core/node.ts';
import { roleOf } from '#src/core/token.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { operatorName } from '#src/hub/api/principal.ts';
import { word } from '#src/hub/api/word.ts';
import type { Enrolment } from '#src/hub/enrolment/enrolment.ts';
import type { Tokens } from '#src/hub/enrolment/tokens.ts';
import { tokenView } from '#src/hub/views.ts';
import { joinTokenSchema, tokenCreatedSchema, tokenCreateSchema, tokenSchema } from '#src/protocol/hub-api/token.ts';

const createToken = createRoute({
  method: 'post',
  path: '/tokens',
  summary: 'Makes a join token; the answer is the only place where it is shown',
  request: { body: jsonBody(tokenCreateSchema) },
  responses: { 200: json(tokenCreatedSchema, 'The token'), default: failure },
});

const listTokens = createRoute({
  method: 'get',
  path: '/tokens',
  summary: 'The join tokens that are good for something',
  responses: { 200: json(z.array(tokenSchema), 'The tokens, the ones that are soonest over first'), default: failure },
});

const revokeToken = createRoute({
  method: 'post',
  path: '/tokens/{word}/revoke',
  summary: 'Ends a join token; who joined by it stays',
  request: { params: word },
  responses: { 200: json(tokenSchema, 'The former token'), default: failure },
});

/**
 * Open to whoever can reach the hub, so that a machine can learn what its token is good for before anything on it is
 * changed. The hash admits nobody and shows nothing of the secret, and who does not have the token can't guess it.
 */
const showToken = createRoute({
  method: 'get',
  path: '/join-tokens/{hash}',
  summary: 'What a join token is good for, asked by the SHA-256 of its secret; it uses up nothing',
  request: { params: z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/) }) },
  responses: { 200: json(joinTokenSchema, 'The token'), default: failure },
});

export interface TokenRoutes {
  readonly tokens: Tokens;
  readonly enrolment: Pick<Enrolment, 'members'>;
}

export function tokenRoutes({ tokens, enrolment }: TokenRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(createToken, async (context) => {
    const wanted = context.req.valid('json');
    if (wanted.name !== undefined) refuseTaken(enrolment.members(), wanted.name);
    const token = await tokens.create(wanted, operatorName(context.get('principal')));
    return context.json(token, 200);
  });
  app.openapi(listTokens, (context) => context.json(tokens.list().map(tokenView), 200));
  app.openapi(revokeToken, async (context) => {
    const by = operatorName(context.get('principal'));
    return context.json(tokenView(await tokens.revoke(context.req.valid('param').word, by)), 200);
  });
  app.openapi(showToken, (context) => {
    const token = tokens.find(context.req.valid('param').hash);
    const { name, usesLeft, expiresAt } = token;
    return context.json({ role: roleOf(token), name, usesLeft, expiresAt: new Date(expiresAt).toISOString() }, 200);
  });
  return app;
}

/** Such a token could let nobody in, which its user would learn on another machine. Throws NAME_TAKEN. */
function refuseTaken(members: Iterable<Member>, name: string): void {
  const holder = [...members].find((member) => member.name === name && member.revokedAt === null);
  if (holder === undefined) return;
  throw new FederationError('NAME_TAKEN', `${name} is a member already (${fingerprint(holder.id)})`, {
    hint: `another name; or, if that machine is gone: manage-federation revoke ${name}`,
  });
}
