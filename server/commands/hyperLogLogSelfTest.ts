/** PFSELFTEST: that registers keep what is put into them, in both encodings, and that estimates are as good as they should be. */
import { ranked, rankedElement } from '#server/crdt/elementHash.ts'
import { HyperLogLog } from '#server/crdt/hyperLogLog.ts'
import { registerCount } from '#server/crdt/sparseRegisters.ts'

/** A shard has other things to do. */
const elementsMax = 20_000
/** Standard error 0.81 %; six times that is never seen. */
const errorShareMax = 0.05
const ranksMax = 50

/** What is wrong; null: nothing. */
export function selfTest(): string | null {
  return wrongRegister() ?? wrongEstimate()
}

function wrongRegister(): string | null {
  const dense = HyperLogLog.empty()
  dense.toDense()
  const sparse = HyperLogLog.empty()
  for (let index = 0; index < registerCount; index += 97) {
    const rank = 1 + (index % ranksMax)
    dense.raise([ranked(index, rank)])
    sparse.raise([ranked(index, rank)])
  }
  for (const registers of [dense, sparse]) {
    for (let index = 0; index < registerCount; index++) {
      const rank = index % 97 === 0 ? 1 + (index % ranksMax) : 0
      const found = registers.rankAt(index)
      if (found !== rank) return `Register ${index} should be ${rank} but is ${found}`
    }
  }
  return null
}

function wrongEstimate(): string | null {
  const registers = HyperLogLog.empty()
  let checkAt = 1
  for (let added = 1; added <= elementsMax; added++) {
    registers.raise([rankedElement(`element:${added}`)])
    if (added < checkAt) continue
    checkAt *= 10
    registers.outdate()
    const difference = Math.abs(registers.count() - added)
    if (difference > Math.ceil(added * errorShareMax))
      return `Too big error. card:${added} abserr:${difference}`
  }
  return null
}
