/**
 * Scenarios: what clients of several clusters see, in files that can be read without knowing the code.
 *
 *     scenario NAME             starts one; its clusters are empty and fully connected
 *     clusters A B C            how many (A and B when the line is missing)
 *     without sharding          its clusters have one shard each, and commands may span slots
 *     cut A B | heal | settle   cut a link; mend all; wait until all clusters hold the same
 *     crash A                   kills its shard processes, which start again by themselves
 *     A> COMMAND                runs it on cluster A; the lines below are what redis-cli would print
 *     all> COMMAND              on every cluster, each with that reply (nothing below: any reply)
 *     A~> COMMAND               the reply in any order: pairs of HGETALL, else elements
 *     A between 1 9> COMMAND    an integer reply in that range
 *     wait until A> COMMAND     repeats until the reply is the one below
 *     A begins> COMMAND         sends it over a connection of its own, and does not wait for the reply
 *     A ends>                   the reply to that, below; comes sooner or later
 */
export type Step =
  | { kind: 'cut'; one: string; other: string }
  | { kind: 'heal' }
  | { kind: 'settle' }
  | { kind: 'crash'; where: string }
  | { kind: 'begin'; where: string; command: string }
  | CommandStep

export interface CommandStep {
  kind: 'command'
  /** A cluster's letter, or `all`. */
  where: string
  command: string
  expected: string[]
  anyOrder: boolean
  between: [number, number] | null
  repeat: boolean
  /** What was begun before is answered. */
  ends: boolean
  line: number
}

export interface Scenario {
  name: string
  clusters: string[]
  sharding: boolean
  steps: Step[]
}

const beginLine = /^([A-E]) begins> (.+)$/
const endLine = /^([A-E]) ends>$/
const commandLine = /^(wait until )?(all|[A-E])(~)?(?: between (-?\d+) (-?\d+))?> (.+)$/

export function parseScenarios(text: string): Scenario[] {
  const scenarios: Scenario[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('scenario ')) {
      scenarios.push({
        name: line.slice('scenario '.length),
        clusters: ['A', 'B'],
        sharding: true,
        steps: [],
      })
    } else if (line.startsWith('#') || line.trim() === '') {
    } else {
      const scenario = scenarios.at(-1)
      if (!scenario) throw new Error(`line ${index + 1} stands before the first scenario`)
      takeLine(scenario, line, index + 1)
    }
  }
  return scenarios
}

const anyReply = { kind: 'command', anyOrder: false, between: null, repeat: false, ends: false } as const

function takeLine(scenario: Scenario, line: string, number: number): void {
  const words = line.split(' ')
  const last = scenario.steps.at(-1)
  const command = commandLine.exec(line)
  const begin = beginLine.exec(line)
  const end = endLine.exec(line)
  if (words[0] === 'clusters') scenario.clusters = words.slice(1)
  else if (line === 'without sharding') scenario.sharding = false
  else if (words[0] === 'cut')
    scenario.steps.push({ kind: 'cut', one: String(words[1]), other: String(words[2]) })
  else if (words[0] === 'crash') scenario.steps.push({ kind: 'crash', where: String(words[1]) })
  else if (line === 'heal' || line === 'settle') scenario.steps.push({ kind: line })
  else if (begin) scenario.steps.push({ kind: 'begin', where: String(begin[1]), command: String(begin[2]) })
  else if (end)
    scenario.steps.push({
      ...anyReply,
      where: String(end[1]),
      command: 'what was begun',
      expected: [],
      ends: true,
      line: number,
    })
  else if (command) {
    const [, repeat, where, anyOrder, low, high, text] = command
    scenario.steps.push({
      ...anyReply,
      where: String(where),
      command: String(text),
      expected: [],
      anyOrder: anyOrder !== undefined,
      between: low === undefined ? null : [Number(low), Number(high)],
      repeat: repeat !== undefined,
      line: number,
    })
  } else if (last?.kind === 'command') last.expected.push(line)
  else throw new Error(`line ${number} is neither a step nor a reply: ${line}`)
}

/** What is wrong with a reply, or null. */
export function judge(step: CommandStep, reply: string): string | null {
  if (step.between) {
    const value = Number(reply.replace('(integer) ', ''))
    const [low, high] = step.between
    return value >= low && value <= high ? null : `${reply} is not between ${low} and ${high}`
  }
  if (step.expected.length === 0) return null
  const expected = step.expected.join('\n')
  if (step.anyOrder) {
    const pairs = step.command.startsWith('HGETALL')
    return inOrder(reply, pairs) === inOrder(expected, pairs)
      ? null
      : `got\n${reply}\ninstead of, in any order,\n${expected}`
  }
  return reply === expected ? null : `got\n${reply}\ninstead of\n${expected}`
}

/** Elements (or pairs of them) without their numbers, sorted. */
function inOrder(reply: string, pairs: boolean): string {
  const elements = reply.split('\n').map((line) => line.replace(/^\s*\d+\) /, ''))
  if (!pairs) return elements.sort().join('\n')
  const fields = elements.filter((_, i) => i % 2 === 0).map((field, i) => `${field}=${elements[2 * i + 1]}`)
  return fields.sort().join('\n')
}
