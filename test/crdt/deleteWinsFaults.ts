/** Ways to build delete-wins wrongly; see `faults.ts`. */
import { covers } from '#protocol/sync/versionVector.ts'
import { DeleteWins } from '#server/crdt/deleteWins.ts'
import { KeyState, TypeBit } from '#server/crdt/keyState.ts'
import { DeleteFloors } from '#server/store/deleteFloors.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { everything, type Fault, replace, script } from './fault.ts'
import { runOf } from './randomRuns.ts'

const runOfDeletes = runOf('hllAdd', 'hllAdd', 'hllAdd', 'delete')

export class ForgetsDeletes extends Keyspace {
  protected override mayForgetDelete(): boolean {
    return true
  }
}

export class TakesOldStates extends Keyspace {
  protected override isTooOld(): boolean {
    return false
  }
}

class NoDeletesOnFlush extends Transaction {
  #flushing = false

  override flushSlot(slot: number): void {
    this.#flushing = true
    super.flushSlot(slot)
    this.#flushing = false
  }

  protected override deletesOf(state: KeyState): number {
    return this.#flushing ? 0 : super.deletesOf(state)
  }
}

/** Every DEL is a delete, whatever it finds. */
class DeletesUnseen extends Transaction {
  protected override deletesOf(): number {
    return TypeBit.hll
  }
}

export const deleteWinsFaults: readonly Fault[] = [
  {
    name: 'dwNow',
    what: 'delete stamps are forgotten at once',
    run: runOfDeletes,
    made: { Keyspace: ForgetsDeletes },
  },
  {
    name: 'oldState',
    what: 'a state older than a forgotten delete is merged [A5]',
    run: script('oldStateIsRefused'),
    made: { Keyspace: TakesOldStates },
  },
  {
    name: 'floorStaysHome',
    what: "who merges a state doesn't take its floor",
    run: script('floorGoesWithStates'),
    plant: () => replace(DeleteFloors.prototype, 'raiseTo', () => () => {}),
  },
  {
    name: 'lostDataStays',
    what: 'a payload that has seen less than the floor of a state is joined with it',
    run: script('lostDataIsVoid'),
    plant: () => replace(KeyState.prototype, 'clearDeleteWins', () => () => {}),
  },
  {
    name: 'dwUnion',
    what: 'a merge unites payloads without looking at deletes',
    run: runOfDeletes,
    plant: () =>
      replace(
        DeleteWins.prototype,
        'merge',
        (original) =>
          function (this: DeleteWins<unknown>, _own, other, _label, join) {
            original.call(this, everything, other, everything, join)
          },
      ),
  },
  {
    name: 'dwMergeForgets',
    what: "a merge forgets the other side's deletes",
    run: runOfDeletes,
    plant: () =>
      replace(
        DeleteWins.prototype,
        'merge',
        (original) =>
          function (this: DeleteWins<unknown>, ...args) {
            const { deletes } = this
            original.apply(this, args)
            this.deletes = deletes
          },
      ),
  },
  {
    name: 'dwMergeOneSided',
    what: 'a merge voids only what is here, not what comes',
    run: runOfDeletes,
    plant: () =>
      replace(
        DeleteWins.prototype,
        'merge',
        (original) =>
          function (this: DeleteWins<unknown>, own, other, _label, join) {
            original.call(this, own, other, everything, join)
          },
      ),
  },
  {
    name: 'dwAddAnyway',
    what: 'an add counts whether or not it has seen all deletes',
    run: runOfDeletes,
    plant: () =>
      replace(
        DeleteWins.prototype,
        'add',
        (original) =>
          function (this: DeleteWins<unknown>, _context, stamp, join) {
            original.call(this, everything, stamp, join)
          },
      ),
  },
  {
    name: 'dwDeleteSeenOnly',
    what: 'a delete leaves a payload whose latest add it has not seen',
    run: runOfDeletes,
    plant: () =>
      replace(
        KeyState.prototype,
        'remove',
        (original) =>
          function (this: KeyState, context, stamp, types, counters, coversAll) {
            const spares = this.hll?.live === true && !covers(context, this.hll.greatest)
            original.call(this, context, stamp, spares ? types & ~TypeBit.hll : types, counters, coversAll)
          },
      ),
  },
  {
    name: 'dwNoStamp',
    what: "a HyperLogLog doesn't count for the visible type [B4]",
    run: runOf('hllAdd', 'set', 'setAdd', 'delete'),
    plant: () =>
      replace(
        KeyState.prototype,
        'greatestType',
        (original) =>
          function (this: KeyState) {
            const { hll } = this
            this.hll = undefined
            const type = original.call(this)
            this.hll = hll
            return type
          },
      ),
  },
  {
    name: 'flushNoDeletes',
    what: 'FLUSH ships no deletes [A1]',
    run: runOf('hllAdd', 'hllAdd', 'set', 'flush'),
    made: { Transaction: NoDeletesOnFlush },
  },
  {
    name: 'dwDeleteUnseen',
    what: 'a DEL that finds no HyperLogLog deletes those it has not seen',
    run: runOf('hllAdd', 'set', 'delete'),
    made: { Transaction: DeletesUnseen },
  },
]
