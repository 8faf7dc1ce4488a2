/** BGSAVE, BGREWRITEAOF, SAVE and LASTSAVE: every shard writes a snapshot of its own. */
import type { AdminQuestion, SnapshotAnswer } from '#protocol/frames/admin.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { noAnswer, type ShardAnswer } from '#proxy/routing/question.ts'
import type { LocalCommand } from './call.ts'
import { lastSaveSeconds } from './info.ts'
import { infoOf } from './shardInfos.ts'

/** What a shard has done, or the error that the client gets. */
function outcomeOf({ shard, value }: ShardAnswer): SnapshotAnswer['snapshot'] | ReplyError {
  if (typeof value !== 'object' || value === null) return new ReplyError(noAnswer(shard))
  if ('error' in value) return new ReplyError(`ERR shard ${shard}: ${value.error}`)
  return (value as SnapshotAnswer).snapshot
}

/** Shards take snapshots by themselves, too, each at its time: those that don't have begun. */
const areAllRunning = (outcomes: readonly unknown[]): boolean =>
  outcomes.every((outcome) => outcome === 'running')

/** `running`: the error when snapshots are being written already. */
function ask(
  askShards: AdminQuestion,
  texts: { started: string; scheduled: string; running: string },
  isRefused: (outcomes: readonly unknown[]) => boolean = areAllRunning,
): ReturnType<LocalCommand> {
  return {
    askShards,
    answer: ({ shards }, reply) => {
      const outcomes = shards.map(outcomeOf)
      const refusal = outcomes.find((outcome) => outcome instanceof ReplyError)
      if (refusal instanceof ReplyError) reply.error(refusal.text)
      else if (isRefused(outcomes)) reply.error(texts.running)
      else reply.simple(outcomes.includes('scheduled') ? texts.scheduled : texts.started)
    },
  }
}

const BGSAVE: LocalCommand = ({ args }) => {
  const schedule = args.argumentCount > 1
  if (args.argumentCount > 2 || (schedule && args.text(1).toUpperCase() !== 'SCHEDULE'))
    throw new ReplyError(errors.syntax)
  return ask(
    { what: 'snapshot', schedule },
    {
      started: 'Background saving started',
      scheduled: 'Background saving scheduled',
      running: 'ERR Background save already in progress',
    },
  )
}

const BGREWRITEAOF: LocalCommand = () =>
  ask(
    { what: 'snapshot' },
    {
      started: 'Background append only file rewriting started',
      scheduled: 'Background append only file rewriting scheduled',
      running: 'ERR Background append only file rewriting already in progress',
    },
  )

const SAVE: LocalCommand = () =>
  ask(
    { what: 'snapshot', wait: true },
    { started: 'OK', scheduled: 'OK', running: 'ERR Background save already in progress' },
    // One that had begun before may lack what the client has written since.
    (outcomes) => outcomes.includes('running'),
  )

const LASTSAVE: LocalCommand = () => ({
  askShards: { what: 'info' },
  answer: (answers, reply) => {
    const { shards, missingShards } = infoOf(answers.shards)
    const [missing] = missingShards
    if (missing !== undefined) reply.error(noAnswer(missing))
    else reply.integer(lastSaveSeconds(shards))
  },
})

export const snapshotCommands = { BGSAVE, BGREWRITEAOF, SAVE, LASTSAVE }
