/** What operations on members of sorted sets and elements of lists mean; see `intents.ts`. */
import type { KeyView } from './history.ts'
import type { Intent, Meaning } from './intents.ts'

export type ListIntent =
  | { command: 'listPush'; key: string; side: 'left' | 'right'; values: string[] }
  | { command: 'listPop'; key: string; side: 'left' | 'right'; count: number }
  | { command: 'listSet'; key: string; index: number; text: string }
  | { command: 'listInsert'; key: string; index: number; text: string }
  | { command: 'listRemove'; key: string; indexes: number[] }
  | { command: 'listTrim'; key: string; start: number; end: number }

/** ZREMRANGEBYSCORE goes from 0 to it. */
export const removedScoreMax = 10

/** `shown`: what the replica shows before. False: a handler would do nothing. */
export function ofScores(
  intent: Extract<Intent, { command: `zset${string}` }>,
  meaning: Meaning,
  shown: readonly [member: string, score: number][],
): boolean {
  const { key } = intent
  const kill = (element: string): void => {
    meaning.kills.push({ kind: 'state', key, type: 'zset', element })
  }
  switch (intent.command) {
    case 'zsetAdd': {
      const { member, score, tag } = intent
      const old = shown.find(([name]) => name === member)?.[1]
      if (old !== undefined && (tag === 'GT' ? score <= old : tag === 'LT' && score >= old)) return false
      kill(member)
      meaning.adds.push({ kind: 'score', key, type: 'zset', element: member, score, tag })
      return true
    }
    case 'zsetIncrement': {
      const { member, amount } = intent
      meaning.adds.push({ kind: 'increment', key, type: 'zset', element: member, amount })
      return true
    }
    case 'zsetRemove':
    case 'zsetRemoveRange': {
      const gone = shown.filter(([name, score]) =>
        intent.command === 'zsetRemove'
          ? intent.members.includes(name)
          : score >= 0 && score <= removedScoreMax,
      )
      for (const [name] of gone) kill(name)
      return gone.length > 0
    }
  }
}

/** False: a handler would refuse it, or do nothing. */
export function ofList(intent: ListIntent, meaning: Meaning, list: KeyView['list']): boolean {
  const { key } = intent
  const kill = (from: number, to: number): void => {
    for (const { name } of list.slice(from, to))
      meaning.kills.push({ kind: 'state', key, type: 'list', element: name })
  }
  switch (intent.command) {
    case 'listPush':
      meaning.pushes = { side: intent.side, values: intent.values }
      return true
    case 'listPop':
      if (intent.side === 'left') kill(0, intent.count)
      else kill(Math.max(0, list.length - intent.count), list.length)
      return list.length > 0
    case 'listSet': {
      const element = list[intent.index]
      if (element === undefined) return false
      kill(intent.index, intent.index + 1)
      meaning.adds.push({ kind: 'write', key, type: 'list', element: element.name, text: intent.text })
      return true
    }
    case 'listInsert': {
      const { index, text } = intent
      if (index > list.length) return false
      meaning.inserts = { index, left: list[index - 1]?.name, right: list[index]?.name, text }
      return true
    }
    case 'listRemove':
      if (intent.indexes.some((index) => index >= list.length)) return false
      for (const index of intent.indexes) kill(index, index + 1)
      return intent.indexes.length > 0
    case 'listTrim': {
      const { start, end } = intent
      if (start > list.length || end > list.length || (start === 0 && end === list.length)) return false
      kill(0, start < end ? start : list.length)
      if (start < end) kill(end, list.length)
      return true
    }
  }
}
