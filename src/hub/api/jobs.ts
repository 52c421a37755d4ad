import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { FederationError } from '#src/core/errors.ts';
import { readJson } from '#src/hub/api/body.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import { jobStream, pipeStdin } from '#src/hub/api/job-stream.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { askerName, askerOf } from '#src/hub/api/principal.ts';
import type { Jobs } from '#src/hub/jobs/jobs.ts';
import { FRAMES_MEDIA_TYPE } from '#src/protocol/frames.ts';
import { jobCreateSchema, jobSchema } from '#src/protocol/hub-api/job.ts';

const id = z.object({ job: z.string().regex(/^[0-9A-Z]{26}$/, 'is not a job’s id') });

const startJob = createRoute({
  method: 'post',
  path: '/jobs',
  summary: 'Runs a command on nodes and streams what it prints and how it ends',
  description:
    'The body of the answer is a stream of frames: u8 type, u8 zero, u16 target, u32 length, payload. ' +
    'Types: 1 open, 2 started, 3 stdout, 4 stderr, 5 exit, 6 summary. The job is whole only if `summary` came. ' +
    'A client that closes the connection ends the job.',
  request: { body: jsonBody(jobCreateSchema) },
  responses: {
    200: {
      description: 'Frames',
      content: { [FRAMES_MEDIA_TYPE]: { schema: z.string().openapi({ format: 'binary' }) } },
    },
    default: failure,
  },
});

const sendStdin = createRoute({
  method: 'put',
  path: '/jobs/{job}/stdin',
  summary: 'The input of a job that was started with `stdin: true`, streamed',
  request: { params: id },
  responses: { 204: { description: 'All of it was passed on' }, default: failure },
});

const cancelJob = createRoute({
  method: 'post',
  path: '/jobs/{job}/cancel',
  summary: 'Ends a job on every node; its stream says how each part ended',
  request: { params: id },
  responses: { 204: { description: 'The nodes were told' }, default: failure },
});

const listJobs = createRoute({
  method: 'get',
  path: '/jobs',
  summary: 'Jobs, the latest first',
  request: { query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(20) }) },
  responses: { 200: json(z.array(jobSchema), 'The jobs'), default: failure },
});

const showJob = createRoute({
  method: 'get',
  path: '/jobs/{job}',
  summary: 'One job with how each part ended',
  request: { params: id },
  responses: { 200: json(jobSchema, 'The job'), default: failure },
});

export function jobRoutes(jobs: Jobs): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  // Described like the others, but read by hand: it is asked the most, and saves 0.05 ms a command so.
  app.openAPIRegistry.registerPath(startJob);
  app.post(startJob.path, async (context) => {
    const asker = askerOf(context.get('principal'));
    const request = await readJson(context.env.incoming, jobCreateSchema);
    const stream = jobStream(context.env.outgoing);
    await stream.follow(await jobs.start(request, asker, stream.audience));
    return RESPONSE_ALREADY_SENT;
  });
  app.openapi(sendStdin, async (context) => {
    const job = jobs.find(context.req.valid('param').job);
    if (!job.takesStdin) throw new FederationError('USAGE', 'this job takes no input');
    try {
      await pipeStdin(context.env.incoming, job.stdin());
    } catch (cause) {
      await job.cancel('the client, whose input broke off');
      throw new FederationError('USAGE', 'the input broke off', { cause });
    }
    return context.body(null, 204);
  });
  app.openapi(cancelJob, async (context) => {
    await jobs.find(context.req.valid('param').job).cancel(askerName(context.get('principal')));
    return context.body(null, 204);
  });
  app.openapi(listJobs, async (context) => context.json(await jobs.list(context.req.valid('query').limit), 200));
  app.openapi(showJob, async (context) => context.json(await jobs.view(context.req.valid('param').job), 200));
  return app;
}
