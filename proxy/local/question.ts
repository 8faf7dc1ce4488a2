/** What one worker can only answer after asking every shard, or the other workers, for their parts. */
import type { AdminQuestion } from '#protocol/frames/admin.ts'
import type { WorkerQuestion } from '#protocol/frames/worker.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { askShards, type ShardAnswer } from '#proxy/routing/question.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { SiblingAnswer } from '#proxy/siblings/siblings.ts'

export interface Answers {
  /** In the order of the links; none when they were not asked. */
  shards: readonly ShardAnswer[]
  workers: readonly SiblingAnswer[]
}

export interface Question {
  askShards?: AdminQuestion
  askWorkers?: WorkerQuestion
  answer(answers: Answers, reply: ReplyWriter): void
}

/** Both are asked at once. */
export function ask(host: SessionHost, question: Question, done: (answers: Answers) => void): void {
  let shards: readonly ShardAnswer[] | null = null
  let workers: readonly SiblingAnswer[] | null = null
  const check = (): void => {
    if (shards !== null && workers !== null) done({ shards, workers })
  }
  const takeShards = (answers: readonly ShardAnswer[]): void => {
    shards = answers
    check()
  }
  const takeWorkers = (answers: readonly SiblingAnswer[]): void => {
    workers = answers
    check()
  }
  if (question.askShards === undefined) takeShards([])
  else askShards(host.links, question.askShards, takeShards)
  if (question.askWorkers === undefined) takeWorkers([])
  else host.siblings.ask(question.askWorkers, takeWorkers)
}
