/** Intents on streams, as random networks give them and as replicas run them. */
import { originOfCluster } from '#protocol/sync/stamp.ts'
import { idOf, maxId, minId, msOf } from '#protocol/sync/streamId.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { Transaction } from '#server/store/transaction.ts'
import type { SeededRandom } from '#test/seed.ts'
import { ackedInterval, idsAt, type StreamIntent } from './streamMeaning.ts'

export function randomStreamIntent(
  random: SeededRandom,
  command: StreamIntent['command'],
  key: string,
  group: string,
  text: string,
): StreamIntent {
  switch (command) {
    case 'streamAdd': {
      const texts = random.chance(0.7) ? [text] : [text, `${text}.`]
      return { command, key, gap: 1 + random.below(3), texts }
    }
    case 'streamDelete':
      return { command, key, indexes: [0, 1, 2, 3].filter(() => random.chance(0.3)) }
    case 'streamTrim':
      return { command, key, keep: random.below(4) }
    case 'streamSetId':
      return {
        command,
        key,
        gap: random.below(3),
        added: random.chance(0.5) ? undefined : random.below(20),
      }
    case 'streamCreateGroup':
      return { command, key, group, start: random.pick(['end', 0, random.below(8)] as const) }
    case 'streamDestroyGroup':
      return { command, key, group }
    case 'streamAcknowledge': {
      const of = originOfCluster(1 + random.below(3))
      return { command, key, group, of, back: random.below(3), count: 1 + random.below(4) }
    }
  }
}

/** As a handler does after its checks. */
export function runOnStream(db: Keyspace, write: Transaction, intent: StreamIntent): string | undefined {
  const { key } = intent
  const stream = db.stream(key)
  const entries = [...(stream?.range(minId, maxId) ?? [])].map(({ id }) => [msOf(id), ''] as const)
  const last = msOf(stream?.lastId ?? minId)
  switch (intent.command) {
    case 'streamAdd': {
      const { gap, texts } = intent
      write.streamAdd(
        key,
        texts.map((text, at) => ({ id: idOf(last + gap + at, 0), fields: ['f', text] })),
      )
      return undefined
    }
    case 'streamDelete': {
      const ids = idsAt(entries, intent.indexes).map((ms) => idOf(ms, 0))
      return String(write.streamDelete(key, ids))
    }
    case 'streamTrim': {
      const upto = entries[entries.length - intent.keep - 1]?.[0] ?? 0
      return String(write.streamTrim(key, idOf(upto, 0)))
    }
    case 'streamSetId': {
      const { entriesAdded, maxDeletedId } = stream ?? { entriesAdded: 0, maxDeletedId: minId }
      const added = intent.added ?? entriesAdded
      write.streamSetMarks(key, { lastId: idOf(last + intent.gap, 0), added, maxDeletedId })
      return undefined
    }
    case 'streamCreateGroup': {
      const { group, start } = intent
      write.streamCreateGroup(key, group, start === 'end' ? 'end' : idOf(start, 0))
      return undefined
    }
    case 'streamDestroyGroup':
      write.streamDestroyGroup(key, intent.group)
      return undefined
    case 'streamAcknowledge': {
      const acked = msOf(stream?.group(intent.group)?.ackedUpto(intent.of) ?? minId)
      const { from, upto } = ackedInterval(acked, intent)
      write.streamAcknowledge(key, intent.group, intent.of, idOf(from, 0), idOf(upto, 0))
      return undefined
    }
  }
}
