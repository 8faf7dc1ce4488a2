/** What goes over the channels of one other member, and how its syncs went, for INFO. */
import type { Plan } from '#protocol/sync/message.ts'
import type { ChannelEnd } from './syncOptions.ts'

export class PeerSyncs {
  /** Messages as this shard reads them; what links make of them is theirs. */
  receivedBytes = 0
  /** How the member answered this shard's subscribes: with slot states among other things, or from its log alone. */
  fullSyncs = 0
  partialSyncs = 0
  /** Of the full ones, those in which this shard had something already: the member's log did not reach back far enough. */
  failedPartialSyncs = 0

  /** The end of a channel, with what it receives counted. */
  countedEnd(end: Pick<ChannelEnd, 'receive'>, closed: () => void): ChannelEnd {
    return {
      receive: (bytes, from, to) => {
        this.receivedBytes += to - from
        end.receive(bytes, from, to)
      },
      closed,
    }
  }

  planned({ slotStates }: Plan, hadSomething: boolean): void {
    if (slotStates === 0) this.partialSyncs++
    else this.fullSyncs++
    if (slotStates > 0 && hadSomething) this.failedPartialSyncs++
  }
}
