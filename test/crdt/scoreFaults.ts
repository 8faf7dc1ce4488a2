/** Faults of sorted sets; see `faults.ts`. */
import type { ElementReset } from '#server/crdt/counter.ts'
import { KeyState } from '#server/crdt/keyState.ts'
import { Score, Tag } from '#server/crdt/score.ts'
import { ScoreIndex } from '#server/crdt/scoreIndex.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { removedScoreMax } from './elementMeanings.ts'
import { type Fault, replace, resetsFromContext } from './fault.ts'
import { randomRun, runOf } from './randomRuns.ts'

class NoResetsOfMembers extends Transaction {
  protected override memberResetsOf(): ElementReset<number>[] {
    return []
  }
}

class NoTags extends Transaction {
  protected override tagOf(): Tag {
    return Tag.none
  }
}

/** Effects of others are under way. */
let delivering = false

class MarksDelivery extends Keyspace {
  override apply(...args: Parameters<Keyspace['apply']>): void {
    delivering = true
    try {
      super.apply(...args)
    } finally {
      delivering = false
    }
  }
}

/** A member that is moved by an effect of others goes back to where it was. */
function keepPlaces(): () => void {
  let last: { score: number; name: string } | undefined
  const restoreDelete = replace(
    ScoreIndex.prototype,
    'delete',
    (original) =>
      function (this: ScoreIndex, score, name) {
        original.call(this, score, name)
        last = delivering ? { score, name } : undefined
      },
  )
  const restoreInsert = replace(
    ScoreIndex.prototype,
    'insert',
    (original) =>
      function (this: ScoreIndex, score, name, ref) {
        original.call(this, last?.name === name ? last.score : score, name, ref)
        last = undefined
      },
  )
  return () => {
    restoreDelete()
    restoreInsert()
  }
}

export const scoreFaults: readonly Fault[] = [
  {
    name: 'scoreLoserNow',
    what: 'a score that loses is dropped on arrival',
    run: randomRun,
    plant: () =>
      replace(
        Score.prototype,
        'write',
        (original) =>
          function (this: Score, ...args) {
            original.apply(this, args)
            this.siblings = this.siblings.slice(-1)
          },
      ),
  },
  {
    name: 'noTags',
    what: 'the last of concurrent scores shows, written with GT or LT or not',
    run: randomRun,
    made: { Transaction: NoTags },
  },
  {
    name: 'loserPart',
    what: 'a score that loses is dropped, though others carry its tag [B3]',
    run: runOf('zsetAdd', 'zsetRemove'),
    plant: () =>
      replace(
        Score.prototype,
        'merge',
        (original) =>
          function (this: Score, own, other, label) {
            original.call(this, own, other, label)
            const least = this.siblings.toSorted((a, b) => a.score - b.score)[0]
            if (this.siblings.length > 2) this.siblings = this.siblings.filter((write) => write !== least)
          },
      ),
  },
  {
    name: 'zrangeByCtx',
    what: 'a removal of a range of scores ships the range [A2]',
    run: runOf('zsetAdd', 'zsetIncrement', 'zsetRemoveRange'),
    plant: () =>
      replace(
        KeyState.prototype,
        'removeScores',
        (original) =>
          function (this: KeyState, context, stamp, _members, resets) {
            const here = [...(this.zset?.range(0, this.zset.size) ?? [])]
            const inRange = here.filter(([, score]) => score >= 0 && score <= removedScoreMax)
            const members = inRange.map(([member]) => member)
            original.call(
              this,
              context,
              stamp,
              members,
              resets.filter(({ element }) => members.includes(element)),
            )
          },
      ),
  },
  {
    name: 'zremNoReset',
    what: 'ZREM ships no entries of counters [A1]',
    run: runOf('zsetIncrement', 'zsetIncrement', 'zsetRemove'),
    made: { Transaction: NoResetsOfMembers },
    plant: () =>
      replace(
        KeyState.prototype,
        'removeScores',
        (original) =>
          function (this: KeyState, context, stamp, members) {
            const { scores } = resetsFromContext(this, context)
            const guessed = scores.filter(({ element }) => members.includes(element))
            original.call(this, context, stamp, members, guessed)
          },
      ),
  },
  {
    name: 'keepsPlace',
    what: "the order of a sorted set isn't kept when others change scores",
    run: randomRun,
    made: { Keyspace: MarksDelivery },
    plant: keepPlaces,
  },
]
