import { expect, test } from 'vitest'
import { Bitmap } from '#server/store/bitmap.ts'

test('a bitmap finds the lowest member from any place on, and grows', () => {
  const bitmap = new Bitmap(40)
  const members = [0, 31, 32, 39, 63, 64, 1_000]
  for (const member of members) bitmap.add(member)
  const found: number[] = []
  for (let at = bitmap.next(0); at >= 0; at = bitmap.next(at + 1)) found.push(at)
  expect(found).toEqual(members)
  expect([bitmap.next(33), bitmap.next(1_001), bitmap.next(5_000)]).toEqual([39, -1, -1])
  for (const member of [...members, 9_999]) bitmap.delete(member)
  expect(bitmap.next(0)).toBe(-1)
})
