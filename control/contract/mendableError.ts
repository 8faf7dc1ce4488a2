/** What whoever started a command can mend: it is told in a line or two that say how, without a trace of calls. */
export class MendableError extends Error {}
