/** Sends COMMAND requests to the code that answers them, and reads the reply as a RESP2 client does. */
import RedisParser from 'redis-parser'
import { answerCommand } from '#protocol/commands/describe.ts'
import { type CommandSpec, lookup } from '#protocol/commands/index.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { defaultRequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { encodeRequest, type ParsedReply } from '#test/realRedis.ts'

export function parse(bytes: Uint8Array): ParsedReply {
  const replies: ParsedReply[] = []
  const take = (reply: ParsedReply): void => void replies.push(reply)
  new RedisParser({ returnReply: take, returnError: take }).execute(bytes)
  if (replies.length !== 1) throw new Error(`${replies.length} replies`)
  return replies[0] as ParsedReply
}

export function scan(args: readonly string[]): RequestScanner {
  const scanner = new RequestScanner(defaultRequestLimits)
  const bytes = encodeRequest(args)
  if (scanner.scan(bytes, 0, bytes.length) !== bytes.length) throw new Error(scanner.error)
  return scanner
}

export function ask(...args: string[]): ParsedReply {
  return parse(askRaw(false, ...args))
}

export function askRaw(resp3: boolean, ...args: string[]): Uint8Array {
  const request = scan(args)
  const command = lookup(request.bytes, request.start(0), request.endOf(0)) as CommandSpec
  const isPlain = request.argumentCount === 1
  const spec = isPlain ? command : command.subcommand(request.bytes, request.start(1), request.endOf(1))
  if (spec === undefined) throw new Error('no such subcommand')
  const reply = new ReplyWriter()
  reply.resp3 = resp3
  answerCommand(spec, request, reply)
  return reply.take()
}
