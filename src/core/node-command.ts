/** Commands of OpenClaw’s node host and app, by their names. Source: OpenClaw’s node command policy. */

/** They show what a person in front of the machine sees, and change nothing there. */
const LOOKS: ReadonlySet<string> = new Set([
  ...['camera.list', 'camera.snap', 'camera.clip', 'camera.ptz.status', 'screen.snapshot', 'screen.record'],
  ...['location.get', 'device.info', 'device.status', 'device.permissions', 'device.health', 'device.apps'],
  ...['motion.activity', 'motion.pedometer', 'watch.status', 'canvas.snapshot'],
]);

/** Whether it only looks. One that is not known does more than that. */
export function isLook(command: string): boolean {
  return LOOKS.has(command);
}

/** Whether it runs programs, or says which may run. */
export function runsPrograms(command: string): boolean {
  return /^(?:system\.(?:run|execapprovals)|agent\.|worker\.)/.test(command.toLowerCase());
}

/** Whether programs can be run, files changed or somebody’s hands moved by it, be it by a way around. */
export function canDoAnything(command: string): boolean {
  return (
    runsPrograms(command) ||
    /^(?:system|computer|terminal|mcp|browser|fs|files?|dir|workspace|desktop|mobile\.ui)\./.test(command.toLowerCase())
  );
}
