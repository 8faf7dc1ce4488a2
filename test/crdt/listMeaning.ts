/** What operations on lists mean, for the history to judge by. */
import type { KeyView } from './history.ts'
import type { Meaning } from './intents.ts'

export type ListIntent =
  | { command: 'listPush'; key: string; side: 'left' | 'right'; values: string[] }
  | { command: 'listPop'; key: string; side: 'left' | 'right'; count: number }
  | { command: 'listSet'; key: string; index: number; text: string }
  | { command: 'listInsert'; key: string; index: number; text: string }
  | { command: 'listRemove'; key: string; indexes: number[] }
  | { command: 'listTrim'; key: string; start: number; end: number }

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
