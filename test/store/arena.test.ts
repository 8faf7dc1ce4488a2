import { describe, expect, test } from 'vitest'
import { Arena, blockBytes, pagedBytesMax, type Ref } from '#server/store/arena.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

/** Blocks that know what they hold. */
class Owner {
  readonly arena = new Arena()
  readonly blocks = new Map<Ref, { sizeBytes: number; mark: number }>()
  #mark = 0

  allocate(sizeBytes: number): Ref {
    const ref = this.arena.allocate(sizeBytes)
    if (ref === 0 || this.blocks.has(ref)) throw new Error(`block ${ref} is given twice`)
    const mark = ++this.#mark
    this.arena.bytes(ref).fill((mark % 255) + 1, this.arena.offset(ref), this.arena.offset(ref) + sizeBytes)
    this.blocks.set(ref, { sizeBytes, mark })
    return ref
  }

  free(ref: Ref): void {
    this.blocks.delete(ref)
    this.arena.free(ref)
  }

  compact(steps: number): boolean {
    return this.arena.compact(steps, (from, to) => {
      const block = this.blocks.get(from)
      if (block === undefined || this.blocks.has(to)) throw new Error(`moved ${from} to ${to}`)
      this.blocks.delete(from)
      this.blocks.set(to, block)
    })
  }

  check(): void {
    let used = 0
    for (const [ref, { sizeBytes, mark }] of this.blocks) {
      used += blockBytes(sizeBytes)
      const bytes = this.arena.bytes(ref)
      const start = this.arena.offset(ref)
      for (let at = start; at < start + sizeBytes; at++)
        if (bytes[at] !== (mark % 255) + 1)
          throw new Error(`block ${ref} of ${sizeBytes} bytes is overwritten`)
    }
    expect(this.arena.usedBytes).toBe(used)
    expect(this.arena.chunkBytes + this.arena.largeBytes).toBeGreaterThanOrEqual(used)
  }
}

const sizes = [16, 17, 24, 61, 64, 65, 128, 129, 500, 4000, pagedBytesMax, pagedBytesMax + 1, 70_000]

describe('blocks', () => {
  test('of all sizes are apart, and their memory is counted', () => {
    const random = new SeededRandom(seedFromEnv())
    const owner = new Owner()
    for (let step = 0; step < 40_000; step++) {
      // Waves: it fills for a while, then it empties for a while.
      const filling = Math.floor(step / 8_000) % 2 === 0
      if (random.chance(filling ? 0.7 : 0.3))
        owner.allocate(random.chance(0.9) ? 16 + random.below(300) : random.pick(sizes))
      else {
        const refs = [...owner.blocks.keys()]
        if (refs.length > 0 && random.chance(0.2)) for (const ref of refs.slice(0, 5)) owner.free(ref)
      }
      if (random.chance(0.01)) owner.compact(1 + random.below(200))
      if (step % 4_000 === 0) owner.check()
    }
    owner.check()
    for (const ref of [...owner.blocks.keys()]) owner.free(ref)
    owner.check()
    expect(owner.arena.usedBytes).toBe(0)
    expect(owner.arena.chunkBytes).toBeLessThanOrEqual(256 * 1024)
  })

  test('a size that fits the same block needs no other', () => {
    const { arena } = new Owner()
    const ref = arena.allocate(61)
    expect([57, 61, 64].map((size) => arena.suits(ref, size))).toEqual([true, true, true])
    expect([56, 65, 9_000].map((size) => arena.suits(ref, size))).toEqual([false, false, false])
    const large = arena.allocate(9_000)
    expect([9_000, 9_001].map((size) => arena.suits(large, size))).toEqual([true, false])
  })

  test('a block in a page wastes an eighth at most', () => {
    for (let size = 64; size <= pagedBytesMax; size++) {
      expect(blockBytes(size)).toBeGreaterThanOrEqual(size)
      expect(blockBytes(size)).toBeLessThanOrEqual(size * 1.125 + 1)
    }
  })
})

describe('memory goes back', () => {
  test('at once when everything is freed, in whatever order', () => {
    const owner = new Owner()
    const refs = Array.from({ length: 400_000 }, () => owner.arena.allocate(64))
    expect(owner.arena.chunkBytes).toBeGreaterThan(25_600_000)
    for (let i = 0; i < refs.length; i += 2) owner.arena.free(refs[i] as Ref)
    for (let i = 1; i < refs.length; i += 2) owner.arena.free(refs[i] as Ref)
    expect(owner.arena.chunkBytes).toBeLessThanOrEqual(256 * 1024)
  })

  test('by compaction when nine of ten random blocks are freed; what is left is whole', () => {
    const random = new SeededRandom(seedFromEnv())
    const owner = new Owner()
    const refs = Array.from({ length: 300_000 }, () => owner.allocate(24 + random.below(120)))
    for (const ref of refs) if (random.chance(0.9)) owner.free(ref)
    const before = owner.arena.chunkBytes
    let steps = 0
    while (owner.compact(64)) {
      if (++steps > 20_000) throw new Error('the compaction does not end')
    }
    owner.check()
    expect(owner.arena.isThin).toBe(false)
    expect(owner.arena.chunkBytes).toBeLessThan(before / 3)
  })

  test('not, and without end, where a few blocks of each size need the pages that they have', () => {
    const owner = new Owner()
    for (let sizeBytes = 16; sizeBytes <= pagedBytesMax; sizeBytes += Math.ceil(sizeBytes / 8))
      owner.allocate(sizeBytes)
    const { chunkBytes, usedBytes } = owner.arena
    expect(chunkBytes).toBeGreaterThan(10 * usedBytes)
    let steps = 0
    while (owner.compact(64) && steps < 1_000) steps++
    expect(steps).toBe(0)
  })

  test('in an end, whatever sizes there are, and whatever was freed', () => {
    const random = new SeededRandom(seedFromEnv())
    for (let round = 0; round < 40; round++) {
      const owner = new Owner()
      const count = 10 ** (1 + random.below(5))
      const sizesMax = 16 + random.below(random.pick([100, 1_000, pagedBytesMax]))
      for (let i = 0; i < count && owner.arena.usedBytes < 2 ** 25; i++)
        owner.allocate(16 + random.below(sizesMax))
      const freed = random.pick([0, 0.5, 0.9, 0.99])
      for (const ref of [...owner.blocks.keys()]) if (random.chance(freed)) owner.free(ref)
      let steps = 0
      while (owner.compact(64)) {
        if (++steps > 20_000) throw new Error('the compaction does not end')
      }
      owner.check()
    }
  })

  test('of a small chunk, when all is freed while it is being emptied', () => {
    const owner = new Owner()
    // Five chunks of the least size, of each of which only one block is left.
    const freed: Ref[] = []
    for (let chunk = 0; chunk < 5; chunk++) {
      for (let i = 0; i < 4_095; i++) freed.push(owner.allocate(16))
      owner.allocate(16)
      for (let page = 1; page < 4; page++) freed.push(owner.allocate(8 * (3 * chunk + page) + 16))
    }
    expect(owner.arena.chunkBytes).toBe(5 * 256 * 1024)
    for (const ref of freed) owner.free(ref)
    expect(owner.arena.isThin).toBe(true)
    expect(owner.compact(10)).toBe(true)
    // Those in the chunk that is being emptied come last.
    for (const ref of [...owner.blocks.keys()].reverse()) owner.free(ref)
    expect(owner.arena.usedBytes).toBe(0)
    expect(owner.compact(100)).toBe(false)
    owner.allocate(24)
    owner.check()
  })

  test('blocks come and go while it compacts', () => {
    const random = new SeededRandom(seedFromEnv())
    const owner = new Owner()
    for (let i = 0; i < 200_000; i++) owner.allocate(24 + random.below(120))
    for (const ref of [...owner.blocks.keys()]) if (random.chance(0.85)) owner.free(ref)
    for (let step = 0; step < 3_000; step++) {
      owner.compact(1 + random.below(100))
      for (let i = 0; i < 5; i++) owner.allocate(24 + random.below(120))
      const refs = owner.blocks.keys()
      for (let i = 0; i < 5; i++) owner.free(refs.next().value as Ref)
    }
    owner.check()
  })

  test('but not the chunk in use, when what comes and goes beside much else begins a chunk', () => {
    const { arena } = new Owner()
    const refs: Ref[] = []
    // The last of the chunks is full.
    let { chunkBytes } = arena
    while (arena.chunkBytes < 2 ** 22 || arena.chunkBytes === chunkBytes) {
      chunkBytes = arena.chunkBytes
      refs.push(arena.allocate(64))
    }
    arena.free(refs.pop() as Ref)
    const first = arena.allocate(pagedBytesMax)
    const { buffer } = arena.bytes(first)
    arena.free(first)
    for (let sizeBytes = 128; sizeBytes <= pagedBytesMax; sizeBytes *= 2) {
      const ref = arena.allocate(sizeBytes)
      expect(arena.bytes(ref).buffer === buffer).toBe(true)
      arena.free(ref)
    }
    for (const ref of refs) arena.free(ref)
    expect(arena.chunkBytes).toBeLessThanOrEqual(256 * 1024)
  })

  test('of an empty chunk first of all', () => {
    const owner = new Owner()
    const refs = Array.from({ length: 300_000 }, () => owner.allocate(64))
    for (let i = 0; i < refs.length; i++) if (i % 5 > 0) owner.free(refs[i] as Ref)
    const ref = owner.allocate(pagedBytesMax)
    owner.free(ref)
    let steps = 0
    while (owner.compact(64)) if (++steps > 20_000) throw new Error('the compaction does not end')
    owner.check()
    expect(owner.arena.isThin).toBe(false)
  })

  test('an empty database that takes a key now and then asks the system for nothing', () => {
    const { arena } = new Owner()
    for (let i = 0; i < 3; i++) {
      arena.free(arena.allocate(64))
      expect(arena.chunkBytes).toBe(256 * 1024)
    }
    expect(arena.compact(10, () => {})).toBe(false)
  })
})
