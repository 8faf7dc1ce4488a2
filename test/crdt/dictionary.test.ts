import { describe, expect, test } from 'vitest'
import { bucketMax, Dictionary, hashOf } from '#server/crdt/dictionary.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

function filled(count: number): Dictionary<number> {
  const dictionary = new Dictionary<number>()
  for (let at = 0; at < count; at++) dictionary.set(`key ${at}`, at)
  return dictionary
}

test('it does what a Map does', () => {
  const random = new SeededRandom(seedFromEnv())
  const dictionary = new Dictionary<number>()
  const map = new Map<string, number>()
  for (let round = 0; round < 6; round++) {
    // Grows past several cuts, then shrinks below the join.
    const growing = round % 2 === 0
    for (let step = 0; step < 20_000; step++) {
      const key = `k${random.below(6_000)}`
      if (random.chance(growing ? 0.8 : 0.02)) {
        dictionary.set(key, step)
        map.set(key, step)
      } else expect(dictionary.delete(key)).toBe(map.delete(key))
    }
    expect(dictionary.size).toBe(map.size)
    expect([...dictionary.entries()].sort()).toEqual([...map].sort())
    expect(new Set(dictionary.keys())).toEqual(new Set(map.keys()))
    for (const [key, value] of map) expect(dictionary.get(key)).toBe(value)
    expect(dictionary.has('absent') || dictionary.get('absent') !== undefined).toBe(false)
    const visited = new Map<string, number>()
    dictionary.forEach((value, key) => {
      visited.set(key, value)
    })
    expect(visited).toEqual(map)
  }
})

test('entries can be deleted while they are visited', () => {
  const dictionary = filled(5_000)
  dictionary.forEach((_, key) => {
    dictionary.delete(key)
  })
  expect(dictionary.size).toBe(0)
  expect([...dictionary.keys()]).toEqual([])
})

describe('scan', () => {
  test('meets every entry that stays, whatever comes and goes meanwhile', () => {
    const random = new SeededRandom(seedFromEnv())
    for (let run = 0; run < 30; run++) {
      const start = random.pick([10, 600, 5_000])
      const dictionary = filled(start)
      const leaving = new Set<string>()
      const visited = new Set<string>()
      let position = 0
      do {
        position = dictionary.scan(position, 1 + random.below(200), (_, key) => {
          visited.add(key)
        })
        // Grows or shrinks by a lot between two steps: buckets are cut, or joined to one.
        const shrinking = random.chance(0.3)
        for (let count = random.below(1_000); count > 0; count--) {
          if (!shrinking) dictionary.set(`new ${random.below(10_000)}`, 0)
          else {
            const key = random.chance(0.5) ? `key ${random.below(start)}` : `new ${random.below(10_000)}`
            leaving.add(key)
            dictionary.delete(key)
          }
        }
      } while (position !== 0)
      for (let at = 0; at < start; at++) {
        const key = `key ${at}`
        if (!leaving.has(key)) expect(visited.has(key), `${key} of ${start}`).toBe(true)
      }
    }
  })

  test('a step is bounded', () => {
    const dictionary = filled(40_000)
    let position = 0
    let steps = 0
    do {
      let visited = 0
      position = dictionary.scan(position, 10, () => {
        visited++
      })
      expect(visited).toBeLessThanOrEqual(bucketMax + 10)
      steps++
    } while (position !== 0)
    expect(steps).toBeGreaterThan(40_000 / (bucketMax + 10))
  })

  test('a position from nowhere ends, and harms nothing', () => {
    for (const dictionary of [filled(3), filled(5_000)]) {
      for (const position of [2 ** 32, 2 ** 52, Number.NaN, 4294967295]) {
        expect(dictionary.scan(position, 10, () => {})).toBe(0)
      }
    }
  })
})

test('texts that collide make one large bucket, not a large directory', () => {
  const dictionary = new Dictionary<number>()
  const colliding: string[] = []
  // The upper 8 bits of the hash are equal: at this size no honest set is deeper than that.
  for (let at = 0; colliding.length < 2_000; at++) if (hashOf(`c${at}`) >>> 24 === 7) colliding.push(`c${at}`)
  for (const key of colliding) dictionary.set(key, 1)
  for (const key of colliding) expect(dictionary.get(key)).toBe(1)
  let steps = 0
  let position = 0
  do {
    position = dictionary.scan(position, 1, () => {})
    steps++
  } while (position !== 0)
  expect(steps).toBeLessThan(200)
})

test('random keys are about equally likely', () => {
  const random = new SeededRandom(seedFromEnv())
  for (const count of [50, 3_000]) {
    const dictionary = filled(count)
    const hits = new Map<string, number>()
    const draws = count * 100
    for (let at = 0; at < draws; at++) {
      const key = dictionary.randomKey(random) as string
      hits.set(key, (hits.get(key) ?? 0) + 1)
    }
    expect(hits.size).toBe(count)
    expect(Math.min(...hits.values())).toBeGreaterThan(30)
    expect(Math.max(...hits.values())).toBeLessThan(250)
  }
  expect(new Dictionary().randomKey(random)).toBeUndefined()
})
