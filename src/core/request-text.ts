import type { RequestKind } from '#src/core/request.ts';

/** What is asked for, in words. */
export function wantsText({ kind, role }: { readonly kind: RequestKind; readonly role: string }): string {
  switch (kind) {
    case 'join':
      return `to join as ${role}`;
    case 'more':
      return 'to offer more';
    case 'moved':
      return 'from another machine';
    case 'device':
      return 'pairing (step 1 of 2)';
    case 'surface':
      return 'its commands (step 2 of 2)';
    case 'operator':
      return 'to operate';
  }
}
