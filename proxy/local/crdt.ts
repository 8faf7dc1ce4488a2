/** CRDT DIGEST: one digest of the whole database, the same whatever the number of shards. */
import type { ShardDigest } from '#protocol/frames/admin.ts'
import { noAnswer, type ShardAnswer } from '#proxy/routing/question.ts'
import type { LocalCommand } from './call.ts'

/** An answer without `slots` is a refusal. */
function slotsOf({ value }: ShardAnswer): ShardDigest['slots'] | null {
  if (typeof value !== 'object' || value === null || !('slots' in value)) return null
  return (value as ShardDigest).slots
}

/** A slot that holds nothing but what replicas may forget at different times. */
const emptySlot = '0'.repeat(16)

/** Two lanes of multiply and rotate, 64 bits together: this guards against bugs, not against forgery. */
function digestOf(text: string): string {
  let low = 0xdeadbeef
  let high = 0x41c6ce57
  for (let at = 0; at < text.length; at++) {
    low = Math.imul(low ^ text.charCodeAt(at), 0x9e3779b1)
    high = Math.imul(high ^ text.charCodeAt(at), 0x5f356495)
    low ^= high >>> 15
    high ^= low >>> 13
  }
  return [high, low].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('')
}

const DIGEST: LocalCommand = () => ({
  askShards: { what: 'digest' },
  answer: ({ shards }, reply) => {
    const digests: [slot: number, digest: string][] = []
    for (const answer of shards) {
      const slots = slotsOf(answer)
      if (slots === null) return reply.error(noAnswer(answer.shard))
      for (const [slot, digest] of Object.entries(slots)) {
        if (digest !== emptySlot) digests.push([Number(slot), digest])
      }
    }
    digests.sort(([a], [b]) => a - b)
    reply.bulk(digestOf(digests.map(([slot, digest]) => `${slot} ${digest}\n`).join('')))
  },
})

export const crdtCommands = { 'CRDT|DIGEST': DIGEST }
