import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from '#test/e2e/lab.ts'
import { type CommandStep, judge, parseScenarios, type Scenario } from './scenario.ts'
import { Session } from './session.ts'

const letters = ['A', 'B', 'C', 'D', 'E']
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'))

/** Of each cluster, where there is sharding. */
const shards = 2

class Stage {
  readonly #lab: Lab
  readonly #scenario: Scenario
  readonly #sessions: Session[]
  /** Whose command was the last. */
  #turn = ''
  /** By letter: a connection with a command whose reply is still to come. */
  readonly #begun = new Map<string, { session: Session; reply: Promise<string> }>()

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
      else if (step.kind === 'crash') await this.#crash(step.where)
      else if (step.kind === 'begin') this.#begin(step.where, step.command)
      else if (step.ends) await this.#end(step)
      else await this.#run(step)
    }
  }

  async #crash(letter: string): Promise<void> {
    const cluster = letters.indexOf(letter) + 1
    for (let shard = 0; shard < (this.#scenario.sharding ? shards : 1); shard++)
      await this.#lab.lab('kill', cluster, 'shard', shard)
  }

  close(): void {
    for (const session of this.#sessions) session.close()
    for (const { session } of this.#begun.values()) session.close()
  }

  #session(letter: string): Session {
    return this.#sessions[letters.indexOf(letter)] as Session
  }

  #begin(letter: string, command: string): void {
    const session = new Session(this.#lab.port(letters.indexOf(letter) + 1))
    this.#begun.set(letter, { session, reply: session.command(command) })
  }

  async #end(step: CommandStep): Promise<void> {
    const begun = this.#begun.get(step.where)
    if (begun === undefined) throw new Error(`line ${step.line}: nothing was begun at ${step.where}`)
    const fault = judge(step, await begun.reply)
    begun.session.close()
    this.#begun.delete(step.where)
    expect(fault, `line ${step.line}, cluster ${step.where}`).toBeNull()
  }

  /** What the next cluster does is later, also by the clock: stamps are equal within a millisecond. */
  #takeTurn(letter: string): void {
    if (letter !== this.#turn) {
      const endMs = Date.now()
      while (Date.now() === endMs);
    }
    this.#turn = letter
  }

  async #run(step: CommandStep): Promise<void> {
    const where = step.where === 'all' ? this.#scenario.clusters : [step.where]
    for (const letter of where) {
      this.#takeTurn(letter)
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

const stages = [
  { count: 2, sharding: true },
  { count: 3, sharding: true },
  { count: 2, sharding: false },
]

for (const { count, sharding } of stages) {
  describe(`${count} clusters${sharding ? '' : ' without sharding'}`, () => {
    let lab: Lab

    beforeAll(async () => {
      const whole = { shards: 1, settings: ['database.sharding=false'] }
      lab = await Lab.up({ clusters: count, ...(sharding ? { shards } : whole) })
    })

    afterAll(async () => {
      expect(await lab.down()).toBe(0)
    })

    for (const file of files) {
      const scenarios = parseScenarios(readFileSync(join(import.meta.dirname, file), 'utf8'))
      const ours = scenarios.filter((one) => one.clusters.length === count && one.sharding === sharding)
      for (const scenario of ours) {
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
