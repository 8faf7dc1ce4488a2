/**
 * Data beside that of the laws, in the slots of the keys that never change their names: each is large enough to be sent to
 * another cluster in several steps, while it is written.
 */
import { certain, type LawSession } from './laws/law.ts'

// biome-ignore format: short names
const neighbours = ['counter:0', 'counter:1', 'counter:2', 'members:0', 'causes:0', 'queue:0', 'queue:1', 'transfers',
  'register:0', 'register:1', 'register:2', 'stream']
const keysPerSlot = 8
const valueBytes = 12 * 1024
const fieldsPerHash = 200

export async function fill(session: LawSession): Promise<void> {
  for (const neighbour of neighbours) {
    for (let i = 0; i < keysPerSlot; i++)
      await certain(session, 'SET', `filling:{${neighbour}}:${i}`, String(i).repeat(valueBytes))
    const fields = Array.from({ length: fieldsPerHash }, (_, i) => [`field ${i}`, `value ${i}`]).flat()
    await certain(session, 'HSET', `filling:{${neighbour}}:hash`, ...fields)
  }
}
