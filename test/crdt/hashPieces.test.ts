/** Hashes that are cut in pieces while their fields come and go: nothing of a field is missing when what came since is applied again. */
import { expect, test } from 'vitest'
import { stampStep } from '#protocol/sync/stamp.ts'
import { emptyVector, type VersionVector } from '#protocol/sync/versionVector.ts'
import { ByteReader } from '#runtime/bytes/byteReader.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { ElementPosition } from '#server/crdt/elementPieces.ts'
import { HashState } from '#server/crdt/hash.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

const [writer, expirer] = [1, 2]
const fields = Array.from({ length: 30 }, (_, i) => `field ${i}`)
const seed = seedFromEnv()

/** Writes the values, and has not seen what another cluster says of their TTLs. */
class Writes {
  readonly #done: ((hash: HashState) => void)[] = []
  readonly #random: SeededRandom
  readonly #hash: HashState
  #stamp = writer

  constructor(random: SeededRandom, hash: HashState) {
    this.#random = random
    this.#hash = hash
  }

  get count(): number {
    return this.#done.length
  }

  write(name: string): void {
    const context = this.#context()
    this.#stamp += stampStep
    const stamp = this.#stamp
    const isRemoval = this.#random.chance(0.5)
    const run = (hash: HashState): void => {
      if (isRemoval) hash.removeField(context, stamp, name, [])
      else hash.setField(context, stamp, name, `text ${stamp}`, [])
    }
    this.#done.push(run)
    run(this.#hash)
  }

  replay(hash: HashState, from: number): void {
    for (const run of this.#done.slice(from)) run(hash)
  }

  #context(): VersionVector {
    const context = emptyVector()
    context[writer] = this.#stamp
    return context
  }
}

function metadataOf(hash: HashState): unknown {
  return fields.map((name) => {
    const of = hash.fieldMetadata(name)
    return [name, hash.get(name), hash.expireAtMs(name), of?.ttl]
  })
}

test('TTL writes of fields that are removed and written again between the pieces', () => {
  for (let at = seed; at < seed + 200; at++) {
    const random = new SeededRandom(at)
    const hash = new HashState()
    const writes = new Writes(random, hash)
    for (const [i, name] of fields.entries()) {
      writes.write(name)
      hash.writeFieldTtl(emptyVector(), i * stampStep + expirer, name, 1_000_000 + i)
    }
    const begun = writes.count
    const loaded = new HashState()
    let from: ElementPosition | undefined
    do {
      const piece = new ByteWriter()
      from = hash.encodePiece(piece, from, 1)
      loaded.takeFrom(HashState.decode(new ByteReader(piece.take())))
      for (let left = random.below(8); left > 0; left--) writes.write(random.pick(fields))
    } while (from !== undefined)
    writes.replay(loaded, begun)
    expect([at, metadataOf(loaded)]).toEqual([at, metadataOf(hash)])
  }
})
