import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { FederationError } from '#src/core/errors.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { askingNode } from '#src/hub/api/principal.ts';
import type { Enrolment } from '#src/hub/enrolment/enrolment.ts';
import type { Revocation } from '#src/hub/enrolment/revocation.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { keyId, verifySignature } from '#src/link/key.ts';
import { keyChangedSchema, keyChangeSchema, keyChangeText } from '#src/protocol/node-key.ts';

const changeKey = createRoute({
  method: 'post',
  path: '/node/key',
  summary: 'The asking node takes another key; its link ends, and it comes back by the new one',
  request: { body: jsonBody(keyChangeSchema) },
  responses: { 200: json(keyChangedSchema, 'It is known by that key from now on'), default: failure },
});

export interface NodeKeyRoutes {
  readonly enrolment: Pick<Enrolment, 'rekey'>;
  readonly revocation: Pick<Revocation, 'endLink'>;
  readonly views: { readonly fleet: Pick<Fleet, 'link'> };
  readonly hubId: string;
}

/** What a member asks about its own key. */
export function nodeKeyRoutes({ enrolment, revocation, views, hubId }: NodeKeyRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(changeKey, async (context) => {
    const principal = context.get('principal');
    const { member, link } = askingNode(principal);
    const { publicKey, signature } = context.req.valid('json');
    const text = keyChangeText({ hubId, nodeId: member.id, publicKey, link });
    if (!verifySignature(publicKey, text, signature)) {
      throw new FederationError('FORBIDDEN', 'the new key did not sign this change');
    }
    const id = keyId(publicKey);
    await enrolment.rekey(member.id, { nodeId: id, publicKey }, () => {
      // Others had their turn since: it may be out, or have another link.
      askingNode(principal);
      if ((views.fleet.link(member.id)?.generation ?? link) === link) return;
      throw new FederationError('FORBIDDEN', 'this node has another link by now', { hint: 'sign the change anew' });
    });
    await revocation.endLink(member.id, new FederationError('KEY_ROTATED', 'this node has another key now'));
    return context.json({ id }, 200);
  });
  return app;
}
