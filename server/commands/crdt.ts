/** A look at the replicated state itself. */
import type { crdtCommands } from '#protocol/commands/crdt.ts'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { clusterOfOrigin, originsMax } from '#protocol/sync/stamp.ts'
import type { Handler, Handlers } from './context.ts'
import { CRDT_INFO } from './keyInfo.ts'

const CRDT_SLOT: Handler = ({ args, db, reply }) => {
  const slot = slotOfKey(args.text(2))
  const stamps: [cluster: number, stamp: number][] = []
  for (let origin = originsMax - 1; origin >= 0; origin--) {
    const stamp = db.vectors.get(slot, origin)
    if (stamp > 0) stamps.push([clusterOfOrigin(origin), stamp])
  }
  reply.map(3)
  reply.bulk('slot')
  reply.integer(slot)
  reply.bulk('vector')
  reply.map(stamps.length)
  for (const [cluster, stamp] of stamps) {
    reply.integer(cluster)
    reply.integer(stamp)
  }
  reply.bulk('digest')
  reply.bulk(db.slotDigest(slot))
}

export const crdtHandlers = {
  'CRDT|SLOT': CRDT_SLOT,
  'CRDT.INFO': CRDT_INFO,
} satisfies Handlers<typeof crdtCommands>
