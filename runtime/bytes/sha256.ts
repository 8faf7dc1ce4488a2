import { createHash } from 'node:crypto'

/** SHA-256 of a latin1 text, in lower-case hexadecimal digits. */
export const sha256 = (text: string): string =>
  createHash('sha256').update(Buffer.from(text, 'latin1')).digest('hex')
