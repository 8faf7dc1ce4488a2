/** What a client waits at. */
export const Gate = {
  open: 0,
  /** Too many of its requests are not answered yet. */
  pipeline: 1,
  /** A shard has no room. */
  shard: 2,
  /** It does not read its replies. */
  output: 3,
  /** CLIENT PAUSE. */
  pause: 4,
  /** What comes next depends on a reply that is on its way. */
  barrier: 5,
  /** A command of its own waits at a shard. What it sends meanwhile is kept, and its end is seen. */
  blocked: 7,
  /** Nothing more is read; it ends when everything is answered. */
  closing: 6,
} as const
