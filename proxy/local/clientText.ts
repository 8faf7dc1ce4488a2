/** Names that clients give themselves: they appear in lists, one client a line, fields apart by spaces. */
import { ReplyError } from '#protocol/resp/errors.ts'

/** `what` begins the error text, as `Client names`. */
export function checkClientText(text: string, what: string): void {
  if (!/^[\x21-\x7e]*$/.test(text))
    throw new ReplyError(`ERR ${what} cannot contain spaces, newlines or special characters.`)
}
