import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from '#test/e2e/lab.ts'
import { type CommandStep, judge, parseScenarios, type Scenario } from './scenario.ts'
import { Session } from './session.ts'

const letters = ['A', 'B', 'C', 'D', 'E']
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'))

class Stage {
  readonly #lab: Lab
  readonly #scenario: Scenario
  readonly #sessions: Session[]

  constructor(lab: Lab, scenario: Scenario) {
    this.#lab = lab
    this.#scenario = scenario
    this.#sessions = scenario.clusters.map((_, i) => new Session(lab.port(i + 1)))
  }

  async play(): Promise<void> {
    await this.#lab.heal()
    await this.#lab.settle()
    await this.#session('A').command('FLUSHALL')
    await this.#lab.settle()
    for (const step of this.#scenario.steps) {
      if (step.kind === 'cut')
        await this.#lab.cut(letters.indexOf(step.one) + 1, letters.indexOf(step.other) + 1)
      else if (step.kind === 'heal') await this.#lab.heal()
      else if (step.kind === 'settle') await this.#lab.settle()
      else await this.#run(step)
    }
  }

  close(): void {
    for (const session of this.#sessions) session.close()
  }

  #session(letter: string): Session {
    return this.#sessions[letters.indexOf(letter)] as Session
  }

  async #run(step: CommandStep): Promise<void> {
    const where = step.where === 'all' ? this.#scenario.clusters : [step.where]
    for (const letter of where) {
      let fault = judge(step, await this.#session(letter).command(step.command))
      const deadlineMs = performance.now() + 20_000
      while (fault !== null && step.repeat && performance.now() < deadlineMs) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        fault = judge(step, await this.#session(letter).command(step.command))
      }
      expect(fault, `line ${step.line}, cluster ${letter}: ${step.command}`).toBeNull()
    }
  }
}

for (const count of [2, 3]) {
  describe(`${count} clusters`, () => {
    let lab: Lab

    beforeAll(async () => {
      lab = await Lab.up({ clusters: count })
    })

    afterAll(async () => {
      expect(await lab.down()).toBe(0)
    })

    for (const file of files) {
      const scenarios = parseScenarios(readFileSync(join(import.meta.dirname, file), 'utf8'))
      for (const scenario of scenarios.filter(({ clusters }) => clusters.length === count)) {
        it(`${file}: ${scenario.name}`, async () => {
          const stage = new Stage(lab, scenario)
          try {
            await stage.play()
          } finally {
            stage.close()
          }
        })
      }
    }
  })
}
