/** What a client may conclude from what it was told. */
export type Outcome =
  /** It was done, as far as the client can know. */
  | 'done'
  /** It was refused before anything was done. */
  | 'refused'
  /** Nobody knows: it may even be done later. */
  | 'unknown'

/** Errors that are said before anything is done. */
const refusals =
  /^(WRONGTYPE|OOM|STALE|JOINING|REMOVING|REMOVED|CLOCKSKEW|LOADING|EXECABORT|ERR (hash )?value|ERR increment)|writes are refused|was not executed/

export const outcomeOfError = ({ message }: Error): Outcome =>
  refusals.test(message) ? 'refused' : 'unknown'
