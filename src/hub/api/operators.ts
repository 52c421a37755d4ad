import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { failure, json, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { operatorName } from '#src/hub/api/principal.ts';
import { word } from '#src/hub/api/word.ts';
import type { Operators } from '#src/hub/operators/operators.ts';
import { operatorView } from '#src/hub/views.ts';
import { operatorSchema } from '#src/protocol/hub-api/operator.ts';

const listOperators = createRoute({
  method: 'get',
  path: '/operators',
  summary: 'Those who may operate from another machine',
  responses: { 200: json(z.array(operatorSchema), 'The operators, by name'), default: failure },
});

const revokeOperator = createRoute({
  method: 'post',
  path: '/operators/{word}/revoke',
  summary: 'Puts an operator out: all connections of that key end, and what was run over them',
  request: { params: word },
  responses: { 200: json(operatorSchema, 'The former operator'), default: failure },
});

export function operatorRoutes(operators: Operators): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(listOperators, (context) => {
    const known = operators.list().toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
    return context.json(known.map(operatorView), 200);
  });
  app.openapi(revokeOperator, async (context) => {
    const by = operatorName(context.get('principal'));
    const asking = context.env.incoming.socket;
    const operator = await operators.revoke(context.req.valid('param').word, by, asking);
    return context.json(operatorView(operator), 200);
  });
  return app;
}
