/** Random requests about channels that nobody has subscribed to; those with subscribers are in `pubsub.test.ts`. */
import type { Make } from './generator.ts'
import type { Vocabulary } from './vocabulary.ts'

const channels = (v: Vocabulary): string[] => v.some(3, () => v.oddText())

export const pubsubRequests: Readonly<Record<string, Make>> = {
  PUBLISH: (v) => ['PUBLISH', v.oddText(), v.value()],
  SPUBLISH: (v) => ['SPUBLISH', v.oddText(), v.value()],
  'PUBSUB|CHANNELS': (v) => ['PUBSUB', v.cased('CHANNELS'), ...v.maybe(0.5, v.oddText())],
  'PUBSUB|NUMPAT': (v) => ['PUBSUB', v.cased('NUMPAT')],
  'PUBSUB|NUMSUB': (v) => ['PUBSUB', v.cased('NUMSUB'), ...channels(v)],
  'PUBSUB|SHARDCHANNELS': (v) => ['PUBSUB', v.cased('SHARDCHANNELS'), ...v.maybe(0.5, v.oddText())],
  'PUBSUB|SHARDNUMSUB': (v) => ['PUBSUB', v.cased('SHARDNUMSUB'), ...channels(v)],
}
