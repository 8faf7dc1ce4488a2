import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editDistance, nearest } from '#config/nearest.ts'

describe('the edit distance', () => {
  it.each([
    ['', '', 0],
    ['a', '', 1],
    ['port', 'port', 0],
    ['prot', 'port', 1],
    ['pot', 'port', 1],
    ['kitten', 'sitting', 3],
    ['clutser', 'cluster', 1],
  ])('%j to %j is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance)
  })

  it('is symmetric, and never more than the longer word', () => {
    const word = fc.string({ maxLength: 8 })
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a))
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length))
      }),
    )
  })
})

describe('the nearest word', () => {
  it.each([
    ['Heartbeat_ms', 'heartbeat_ms'],
    ['heartbeat', 'heartbeat_ms'],
    ['pot', 'port'],
    ['beat', 'heartbeat_ms'],
    ['quux', null],
  ])('of %j is %j', (word, found) => {
    expect(nearest(word, ['port', 'heartbeat_ms', 'shards'])).toBe(found)
  })
})
