import { expect, test } from 'vitest'
import { mergeSorted } from '#runtime/mergeSorted.ts'

test.each([
  [[], []],
  [[['a1', 'c1']], ['a1', 'c1']],
  [
    [['b1', 'd1'], [], ['a3', 'b3', 'e3']],
    ['a3', 'b1', 'b3', 'd1', 'e3'],
  ],
])('%j in order, equal ones in the order of the sequences', (sequences, merged) => {
  expect([...mergeSorted(sequences, (a, b) => a.slice(0, 1) < b.slice(0, 1))]).toEqual(merged)
})
