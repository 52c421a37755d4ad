/** Who asks for a model. */
export type Consumer =
  | { readonly kind: 'operator'; readonly name: string }
  | { readonly kind: 'node'; readonly id: string; readonly name: string }
  | { readonly kind: 'key'; readonly id: string; readonly name: string };
