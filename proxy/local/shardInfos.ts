/** What the shards answer to the question `info`. */
import type { ShardInfo } from '#protocol/frames/admin.ts'
import type { ShardAnswer } from '#proxy/routing/question.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'

export interface ShardInfos {
  /** Of the shards that answered. */
  shards: readonly ShardInfo[]
  missingShards: readonly number[]
}

/** A shard that refuses to answer counts as missing. */
const shardInfo = ({ value }: ShardAnswer): ShardInfo | null =>
  isJsonObject(value) && 'runId' in value ? (value as unknown as ShardInfo) : null

export function infoOf(answers: readonly ShardAnswer[]): ShardInfos {
  const shards: ShardInfo[] = []
  const missingShards: number[] = []
  for (const answer of answers) {
    const info = shardInfo(answer)
    if (info === null) missingShards.push(answer.shard)
    else shards.push(info)
  }
  return { shards, missingShards }
}
