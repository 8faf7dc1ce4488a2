import fc from 'fast-check'
import { expect, it } from 'vitest'
import { TimeQueue } from '#bench/generator/timeQueue.ts'

it('gives back what was put in, in order, however it grows', () => {
  const steps = fc.array(fc.record({ push: fc.nat(100), shift: fc.nat(100) }), { maxLength: 40 })
  fc.assert(
    fc.property(steps, (list) => {
      const queue = new TimeQueue()
      const model: number[] = []
      let next = 0
      for (const { push, shift } of list) {
        for (let i = 0; i < push; i++) {
          queue.push(next)
          model.push(next++)
        }
        for (let i = 0; i < Math.min(shift, model.length); i++) expect(queue.shift()).toBe(model.shift())
        expect(queue.length).toBe(model.length)
      }
    }),
  )
})
