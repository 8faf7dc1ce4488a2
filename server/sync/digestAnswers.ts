/** An intake's answer to a question for digests, in as many messages as it takes. */
import { digestsBytesMax, writeDigests } from '#protocol/sync/digestMessage.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { SyncChannel } from './localShard.ts'

/** None: there is nothing to compare. */
export type DigestsAnswer = [slot: number, number: number, digests: Uint8Array]

export function answerDigests(channel: SyncChannel, writer: ByteWriter, ...answer: DigestsAnswer): void {
  const [slot, number, digests] = answer
  let start = 0
  do {
    const end = Math.min(digests.length, start + digestsBytesMax)
    writer.clear()
    writeDigests(writer, slot, number, digests, start, end)
    channel.send(writer.view())
    start = end
  } while (start < digests.length)
}
