/** A load generator in a process of its own, so that whoever measures doesn't wait for it; see `plan.ts`. */
import { createInterface } from 'node:readline'
import { Generator } from './generator.ts'
import type { Plan } from './plan.ts'

const lines = createInterface({ input: process.stdin })
lines.once('line', (line) => {
  const generator = new Generator(JSON.parse(line) as Plan)
  lines.once('close', () => generator.stop())
  generator.run().then(
    (outcome) => {
      process.stdout.write(JSON.stringify(outcome), () => process.exit(0))
    },
    (error: Error) => {
      console.error(error.message)
      process.exit(1)
    },
  )
})
