/** What one worker can only answer after asking every shard, or the other workers, for their parts, or after something else. */
import type { AdminQuestion } from '#protocol/frames/admin.ts'
import type { ScriptWatchAnswer, ScriptWatchQuestion } from '#protocol/frames/scriptWatch.ts'
import type { WorkerQuestion } from '#protocol/frames/worker.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { askShards, type ShardAnswer } from '#proxy/routing/question.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { SiblingAnswer } from '#proxy/siblings/siblings.ts'

export interface Answers {
  /** In the order of the links. */
  watches: readonly (ScriptWatchAnswer | null)[]
  /** In the order of the links; none when they were not asked. */
  shards: readonly ShardAnswer[]
  workers: readonly SiblingAnswer[]
}

export interface Question {
  askShards?: AdminQuestion
  askWorkers?: WorkerQuestion
  askWatches?: ScriptWatchQuestion
  answer(answers: Answers, reply: ReplyWriter): void
}

/** Something has to be done first, which may take a while; then there is an answer, or a question. */
export interface Deferred {
  begin(done: (next: Question) => void): void
}

/** Of nobody. */
export const noAnswers: Answers = { shards: [], workers: [], watches: [] }

/** Nobody needs to be asked. */
export const replying = (answer: Question['answer']): Question => ({ answer })

/** Both are asked at once. */
export function ask(host: SessionHost, question: Question, done: (answers: Answers) => void): void {
  let shards: readonly ShardAnswer[] | null = null
  let workers: readonly SiblingAnswer[] | null = null
  let watches: readonly (ScriptWatchAnswer | null)[] | null = null
  const check = (): void => {
    if (shards !== null && workers !== null && watches !== null) done({ shards, workers, watches })
  }
  const takeShards = (answers: readonly ShardAnswer[]): void => {
    shards = answers
    check()
  }
  const takeWorkers = (answers: readonly SiblingAnswer[]): void => {
    workers = answers
    check()
  }
  const takeWatches = (answers: readonly (ScriptWatchAnswer | null)[]): void => {
    watches = answers
    check()
  }
  if (question.askWatches === undefined) takeWatches([])
  else host.askWatches(question.askWatches, takeWatches)
  if (question.askShards === undefined) takeShards([])
  else askShards(host.links, question.askShards, takeShards)
  if (question.askWorkers === undefined) takeWorkers([])
  else host.siblings.ask(question.askWorkers, takeWorkers)
}
