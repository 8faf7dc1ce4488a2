/** Ways to build lists wrongly; see `faults.ts`. */
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { ListState } from '#server/crdt/list.ts'
import { type InsertRun, type ListId, pushedId } from '#server/crdt/listId.ts'
import { ListLeaf } from '#server/crdt/listLeaf.ts'
import { InsertRuns } from '#server/store/insertRuns.ts'
import { PackedList } from '#server/store/packedList.ts'
import { Transaction } from '#server/store/transaction.ts'
import { everything, type Fault, replace, script } from './fault.ts'
import { presets, randomRun, runOf } from './randomRuns.ts'

const runOfInserts = runOf(...(presets['inserts'] ?? []))
const runOfLists = runOf(...(presets['lists'] ?? []))

/** Small lists lie in their entry, where the fault is not planted: none is small. */
const withoutPacking =
  (plant: () => () => void): (() => () => void) =>
  () => {
    const restorePush = replace(PackedList.prototype, 'push', () => () => false)
    const restore = plant()
    return () => {
      restore()
      restorePush()
    }
  }

class RebalancingTransaction extends Transaction {
  #inserts = 0

  /** Now and then the list is written anew, with short ids. */
  override listInsert(name: string, index: number, value: string): number {
    const size = super.listInsert(name, index, value)
    if (++this.#inserts % 3 === 0) this.listPush(name, 'right', this.listPop(name, 'left', size))
    return size
  }
}

class ReinsertingTransaction extends Transaction {
  override listSet(name: string, index: number, value: string): void {
    this.listInsert(name, index + 1, value)
    this.listRemove(name, [index])
  }
}

/** The rule as it was at first: a child, however deep. */
class DeepTransaction extends Transaction {
  protected override idBetween(left: ListId, right: ListId, key: number): ListId {
    const isInRightSubtree = right.length > left.length && left.every((value, at) => value === right[at])
    return isInRightSubtree && right[left.length] === 1 ? [...right, -1, key, 0] : [...left, 1, key, 0]
  }
}

class RunlessTransaction extends Transaction {
  protected override idBetween(
    left: ListId,
    right: ListId,
    key: number,
    _run: InsertRun | undefined,
  ): ListId {
    return super.idBetween(left, right, key, undefined)
  }
}

export const listFaults: readonly Fault[] = [
  {
    name: 'listTie',
    what: 'the key of a push is its stamp: on an equal time the greater cluster id comes first [B7]',
    run: script('L2sameInstant'),
    plant: withoutPacking(() =>
      replace(
        ListState.prototype,
        'push',
        () =>
          function (this: ListState, context, stamp, side, values) {
            for (const [number, value] of values.entries())
              this.write(context, stamp, [side, side * stamp, side * number], value)
          },
      ),
    ),
  },
  {
    name: 'pushOffset',
    what: 'the values of one push all have the same offset',
    run: runOfLists,
    plant: withoutPacking(() =>
      replace(
        ListState.prototype,
        'push',
        () =>
          function (this: ListState, context, stamp, side, values) {
            for (const value of values) this.write(context, stamp, pushedId(side, stamp, 0), value)
          },
      ),
    ),
  },
  {
    name: 'prefixOrder',
    what: 'an element lies on the wrong side of its subtrees',
    run: runOfInserts,
    plant: () =>
      replace(
        ListLeaf.prototype,
        'compare',
        (original) =>
          function (this: ListLeaf, at, id) {
            const order = original.call(this, at, id)
            const own = this.id(at)
            const isPrefix = own.length !== id.length && own.every((n, i) => i >= id.length || n === id[i])
            return isPrefix ? -order : order
          },
      ),
  },
  {
    name: 'rebalance',
    what: 'a list with long ids is removed and pushed anew [A16]',
    run: runOfInserts,
    made: { Transaction: RebalancingTransaction },
  },
  {
    name: 'deepIds',
    what: 'LINSERT always takes a step more [B5]',
    run: script('insertsStayShallow'),
    made: { Transaction: DeepTransaction },
  },
  {
    name: 'noRun',
    what: "a run of LINSERTs isn't continued, and interleaves with another's [B6]",
    run: script('runsAfterTheLastStayWhole'),
    made: { Transaction: RunlessTransaction },
  },
  {
    name: 'runReuse',
    what: 'an offset of a run is taken again when its element is gone',
    run: runOfInserts,
    plant: () =>
      replace(
        InsertRuns.prototype,
        'of',
        (original) =>
          function (this: InsertRuns, name) {
            const run = original.call(this, name)
            const offset = run?.id.at(-1) as number
            return run === undefined ? undefined : { id: run.id, least: offset, greatest: offset }
          },
      ),
  },
  {
    name: 'lsetReinserts',
    what: 'LSET removes the element and inserts another',
    run: runOfLists,
    made: { Transaction: ReinsertingTransaction },
  },
  {
    name: 'popUnseen',
    what: 'LPOP, LREM and LTRIM remove writes that they did not see',
    run: runOfLists,
    plant: withoutPacking(() =>
      replace(
        ListState.prototype,
        'remove',
        (original) =>
          function (this: ListState, _context, range) {
            original.call(this, everything, range, true)
          },
      ),
    ),
  },
  {
    name: 'popUnseenPacked',
    what: 'the same of a small list',
    run: randomRun,
    plant: () =>
      replace(
        PackedList.prototype,
        'remove',
        (original) =>
          function (this: PackedList, into, _context, ranges) {
            original.call(this, into, everything, ranges)
          },
      ),
  },
  {
    name: 'trimByPosition',
    what: 'a removal takes as many as its origin removed, from that end, whatever lies there now',
    run: runOfLists,
    plant: withoutPacking(() => {
      // The origin applies a range first.
      const counts = new Map<string, number>()
      return replace(
        ListState.prototype,
        'remove',
        (original) =>
          function (this: ListState, context, range, coversAll) {
            const name = JSON.stringify([range.from, range.to])
            const before = this.size
            const counted = counts.get(name)
            if (counted === undefined) {
              const wasFirst = before > 0 && String(this.idAt(0)) === String(range.from)
              original.call(this, context, range, coversAll)
              counts.set(name, (before - this.size) * (wasFirst ? 1 : -1))
            } else if (counted !== 0 && before > 0) {
              const count = Math.min(Math.abs(counted), before)
              const start = counted > 0 ? 0 : before - count
              const positions = { from: this.idAt(start), to: this.idAt(start + count - 1) }
              original.call(this, context, positions, coversAll)
            }
          },
      )
    }),
  },
  {
    name: 'elementLoserNow',
    what: 'of concurrent writes of an element the lesser is dropped on arrival',
    run: runOfLists,
    plant: () => replace(ListLeaf.prototype, 'setSiblings', () => () => {}),
  },
  {
    name: 'listMergeUnion',
    what: 'a merge takes what only the other side has, removed here or not',
    run: runOfLists,
    plant: () =>
      replace(
        ListState.prototype,
        'merging',
        (original) =>
          function (this: ListState, _own, other, label) {
            // What one side alone has is joined the other way round.
            return original.call(this, emptyVector(), other, other.size === 0 ? emptyVector() : label)
          },
      ),
  },
  {
    name: 'listMergeAbsent',
    what: 'a merge takes absence for removal',
    run: runOfLists,
    plant: () =>
      replace(
        ListState.prototype,
        'merging',
        (original) =>
          function (this: ListState, own, other) {
            return original.call(this, own, other, everything)
          },
      ),
  },
]
