/** Which command of the table a request means, or the words of Redis for what is wrong with it. */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { refusal } from '#protocol/commands/refused.ts'
import { errors } from '#protocol/resp/errors.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'

/** Of an argument that an error text repeats. */
const quotedBytes = 128
const quotedArguments = 20

/** `found` is what the first argument names. */
export function commandOf(found: CommandSpec | undefined, request: RequestScanner): CommandSpec | string {
  const count = request.argumentCount
  if (found === undefined) {
    const known = refusal(quote(request, 0), '')
    if (known !== undefined) return known
    const quoted: string[] = []
    for (let i = 1; i < Math.min(count, quotedArguments); i++) quoted.push(quote(request, i))
    return errors.unknownCommand(quote(request, 0), quoted)
  }
  let spec = found
  if (found.isContainer && count > 1) {
    const subcommand = found.subcommand(request.bytes, request.start(1), request.endOf(1))
    if (subcommand === undefined)
      return refusal(found.name, quote(request, 1)) ?? errors.unknownSubcommand(found.name, quote(request, 1))
    spec = subcommand
  }
  return spec.accepts(count) ? spec : errors.wrongArity(spec.lowerName)
}

function quote(request: RequestScanner, i: number): string {
  const start = request.start(i)
  return latin1(request.bytes, start, Math.min(request.endOf(i), start + quotedBytes))
}
