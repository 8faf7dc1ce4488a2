/** Which ids XADD takes and gives: Redis Enterprise's `crdt_xadd_id_uniqueness_mode`. */
export const streamIdModes = [
  /** None that another cluster could give: `*` or milliseconds only. */
  'strict',
  /** The same for those, but whole ids are taken. */
  'semi-strict',
  /** Those of Redis. */
  'liberal',
] as const

export type StreamIdMode = (typeof streamIdModes)[number]

export const isStreamIdMode = (text: unknown): text is StreamIdMode =>
  (streamIdModes as readonly unknown[]).includes(text)
