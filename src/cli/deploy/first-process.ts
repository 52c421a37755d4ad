/**
 * A shell that waits for the program of its arguments, hands it TERM and INT, and ends with its exit code. Meanwhile it
 * takes in what processes leave behind whose parents are gone.
 */
export const FIRST_PROCESS = `exec 3<&0
"$@" <&3 3<&- &
child=$!
exec 3<&-
trap 'kill -s TERM "$child"' TERM
trap 'kill -s INT "$child"' INT
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || exit "$code"
done`;

/**
 * As the first process of a container, starts this command once more as the child of a shell. All orphans become the
 * first process's children: Node leaves those as zombies for good, a shell does not. Anywhere else it does nothing.
 */
export function leaveFirstProcess(): void {
  if (process.pid !== 1 || process.execve === undefined) return;
  const words = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve('/bin/sh', ['sh', '-c', FIRST_PROCESS, 'sh', ...words], process.env);
}
