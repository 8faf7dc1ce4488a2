import type { CommandSpec } from '#protocol/commands/index.ts'
import { FrameFlag } from '#protocol/frames/frame.ts'
/** A request typed as a line: shards get it as clients' libraries would have sent it. */
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import type { ScriptActor } from '#proxy/linkUsers.ts'
import type { RoutedRequest } from '#proxy/routing/router.ts'

const writer = new ReplyWriter()

/** Valid until the next call. */
function reencoded(scanner: RequestScanner): { bytes: Uint8Array; start: number; end: number } {
  writer.clear()
  writer.array(scanner.argumentCount)
  for (let i = 0; i < scanner.argumentCount; i++) {
    writer.bulkBytes(scanner.bytes, scanner.start(i), scanner.endOf(i))
  }
  return { bytes: writer.bytes, start: 0, end: writer.length }
}

/** A request as it goes on: one that was written inline is encoded as the others are. */
export function requestOf(
  spec: CommandSpec,
  scanner: RequestScanner,
  { flags, shardSession }: { flags: number; shardSession: number },
  actor: ScriptActor | null,
  bytes: Uint8Array,
  start: number,
  end: number,
): RoutedRequest {
  const common = {
    spec,
    arguments: scanner,
    flags,
    session: shardSession,
    resp3: (flags & FrameFlag.resp3) !== 0,
    actor,
  }
  if (!scanner.inline) return { ...common, bytes, start, end, isFixed: true }
  return { ...common, ...reencoded(scanner), isFixed: false }
}
