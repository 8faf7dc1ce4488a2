import { expect, test } from 'vitest'
import { DueSlots } from '#server/store/dueSlots.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'

test('what is due comes slot by slot, each entry once', () => {
  const random = new SeededRandom(seedFromEnv())
  const due = new DueSlots()
  const added: string[] = []
  for (let at = 0; at < 20_000; at++) {
    const [slot, hash] = [16_383 - random.below(500), random.below(2 ** 32)]
    due.add(slot, hash)
    added.push(`${slot}:${hash}`)
  }
  const popped: string[] = []
  const slots: number[] = []
  for (let hash = due.pop(); hash >= 0; hash = due.pop()) {
    popped.push(`${due.slot}:${hash}`)
    if (slots.at(-1) !== due.slot) slots.push(due.slot)
  }
  expect(popped.sort()).toEqual(added.sort())
  expect(slots.length).toBe(new Set(slots).size)
  expect([due.size, due.pop()]).toEqual([0, -1])
  due.add(3, 7)
  expect([due.pop(), due.slot]).toEqual([7, 3])
})
