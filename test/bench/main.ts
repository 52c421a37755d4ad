import { chatCommand, chatTool } from './figures/chat.ts';
import { command } from './figures/command.ts';
import { exec } from './figures/exec.ts';
import { flood } from './figures/flood.ts';
import {
  handoffAcknowledgement,
  handoffEvent,
  handoffMemory,
  handoffMemoryGrowth,
  handoffResume,
} from './figures/handoff.ts';
import { hubMemory } from './figures/hub-memory.ts';
import { request } from './figures/request.ts';
import { path, stream } from './figures/stream.ts';
import { workerAlone, workerMemory } from './figures/worker-memory.ts';
import { installPackage } from './installed.ts';
import { runBench } from './program.ts';

await runBench({
  name: 'bench',
  description: 'Measures the figures that are promised, each against its floor on this machine, now.',
  figures: [
    ...[exec, flood, request, stream, path, workerMemory, workerAlone, hubMemory, command, chatTool, chatCommand],
    ...[handoffAcknowledgement, handoffEvent, handoffResume, handoffMemory, handoffMemoryGrowth],
  ],
  patientMs: 120_000,
  longestMs: 235_000,
  install: installPackage,
});
