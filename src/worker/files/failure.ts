import { FederationError } from '#src/core/errors.ts';

/** What the system says of a path, in the words of the federation. What it does not expect is a bug and stays as it is. */
export function fileFailure(error: unknown, path: string): unknown {
  if (error instanceof FederationError || !(error instanceof Error) || !('code' in error)) return error;
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new FederationError('PATH_NOT_FOUND', `${path} does not exist on this node`, {
        hint: 'name it from the root, or from ~/',
        cause: error,
      });
    case 'ENAMETOOLONG':
    case 'EINVAL':
      return new FederationError('PATH_NOT_FOUND', `${path} can be no file’s name on this node`, {
        hint: 'name a file',
        cause: error,
      });
    case 'EISDIR':
      return notAFile(path, 'a folder');
    case 'EACCES':
    case 'EPERM':
      return denied(path, 'the user that the worker runs as may not', error);
    case 'EROFS':
      return denied(path, 'it is on a file system that can’t be written', error);
    case 'ETXTBSY':
      return denied(path, 'it is a program that runs', error);
    case 'ELOOP':
      return denied(path, 'a symbolic link stands in its place', error);
    case 'ENXIO':
      return notAFile(path, 'a device or a socket');
    case 'ENOSPC':
    case 'EDQUOT':
      return new FederationError('DISK_FULL', `there is no room for ${path} on this node`, {
        hint: 'make room there',
        cause: error,
      });
    case 'EFBIG':
      return new FederationError('FILE_TOO_LARGE', `${path} would be larger than this node’s file system takes`, {
        hint: 'write it to another file system',
        cause: error,
      });
    case 'EIO':
    case 'ESTALE':
    case 'ENOTCONN':
    case 'ETIMEDOUT':
    case 'EMFILE':
    case 'ENFILE':
      return new FederationError('STEP_FAILED', `${path} can’t be used on this node (${error.code})`, {
        hint: 'look at its disk: dmesg, df',
        cause: error,
      });
    default:
      return error;
  }
}

export function denied(path: string, why: string, cause?: unknown): FederationError {
  return new FederationError('PATH_DENIED', `${path}: ${why}`, {
    hint: 'worker.files in the settings of that node says what is open',
    ...(cause === undefined ? {} : { cause }),
  });
}

export function notAFile(path: string, what: string): FederationError {
  return new FederationError('PATH_DENIED', `${path} is ${what}: only regular files are read and written`, {
    hint: 'name a file',
  });
}

export function tooLarge(path: string, maxBytes: number, hint: string): FederationError {
  return new FederationError(
    'FILE_TOO_LARGE',
    `${path}: more than the ${maxBytes} bytes that this node takes at once`,
    {
      hint,
    },
  );
}
