/**
 * Ways to read or to build the design wrongly. Each is planted in the production code from outside, by a subclass or a
 * replaced method, and the random runs must find it: a check that can't fail is none. Names in brackets are those of
 * the counterexamples the rules come from.
 */
import type { RecordPart } from '#protocol/sync/record.ts'
import { originOf } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import type { Amount } from '#server/crdt/amount.ts'
import { CountedRegister } from '#server/crdt/countedRegister.ts'
import {
  KeyState,
  type KeyType,
  keepTtl,
  noRemovedCounters,
  type RemovedCounters,
  TypeBit,
} from '#server/crdt/keyState.ts'
import type { Write } from '#server/crdt/register.ts'
import { SetState } from '#server/crdt/set.ts'
import { Strnum } from '#server/crdt/strnum.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import type { Acknowledged } from '#server/store/residues.ts'
import { Transaction } from '#server/store/transaction.ts'
import { deleteWinsFaults } from './deleteWinsFaults.ts'
import { everything, type Fault, ForgetsGhosts, replace, resetsFromContext, script } from './fault.ts'
import { fieldTtlFaults } from './fieldTtlFaults.ts'
import { listFaults } from './listFaults.ts'
import { patchFaults } from './patchFaults.ts'
import { focusedRun, randomRun, runOf } from './randomRuns.ts'
import { type Heartbeat, type Production, production, Replica, type Shipment } from './replica.ts'
import { scoreFaults } from './scoreFaults.ts'
import { streamFaults } from './streamFaults.ts'

const guessResets = (): (() => void) =>
  replace(
    KeyState.prototype,
    'remove',
    (original) =>
      function (this: KeyState, context, stamp, types, counters, coversAll) {
        original.call(
          this,
          context,
          stamp,
          types,
          counters === noRemovedCounters ? resetsFromContext(this, context) : counters,
          coversAll,
        )
      },
  )

class KeepTtlAlways extends Transaction {
  protected override ttlOfKeepingWrite(): number {
    return keepTtl
  }
}

class NoFresh extends Transaction {
  protected override isFresh(): boolean {
    return false
  }
}

class FreshIfGhost extends Transaction {
  protected override isFresh(known: boolean, live: boolean): boolean {
    return known && !live
  }
}

class NoCleanupPersist extends Transaction {
  protected override losesInfinity(): boolean {
    return false
  }
}

class NoResetsOnRemove extends Transaction {
  protected override countersOf(): RemovedCounters {
    return noRemovedCounters
  }
}

class NoResetsOnFlush extends Transaction {
  #flushing = false

  override flushSlot(slot: number): void {
    this.#flushing = true
    super.flushSlot(slot)
    this.#flushing = false
  }

  protected override countersOf(state: KeyState, types?: number): RemovedCounters {
    return this.#flushing ? noRemovedCounters : super.countersOf(state, types)
  }
}

class ForgetsBaselines extends Keyspace {
  protected override mayForgetBaseline(): boolean {
    return true
  }
}

class ForgetsGhostsByTtl extends Keyspace {
  protected override mayForgetGhost(state: KeyState, _: VersionVector, acknowledged: Acknowledged): boolean {
    return state.ttl.every(({ stamp }) =>
      acknowledged.members.every(
        (member) => member === this.origin || acknowledged.stamp(member, originOf(stamp)) >= stamp,
      ),
    )
  }
}

/** Its parts come in any order that keeps each origin's. */
class Unchecked extends Keyspace {
  protected override requireDeliverable(): void {}
}

class FifoReplica extends Replica {
  protected override isPartReady(part: RecordPart): boolean {
    return part.previous <= this.keyspace.vectors.get(part.slot, part.origin)
  }
}

class UnchainedReplica extends Replica {
  protected override isPartReady(part: RecordPart): boolean {
    const { vectors } = this.keyspace
    return part.context.every((stamp, o) => o === part.origin || stamp <= vectors.get(part.slot, o))
  }
}

class HastyReplica extends Replica {
  protected override mayCount(_: Heartbeat): boolean {
    return true
  }
}

class WholeOrNothingReplica extends Replica {
  protected override apply(shipment: Shipment): void {
    if (shipment.parts.some((part) => this.hasPart(part))) {
      for (const part of shipment.parts) {
        if (!this.hasPart(part)) this.keyspace.vectors.set(part.slot, part.origin, part.last)
      }
      this.log.push(shipment)
    } else super.apply(shipment)
  }
}

/** The first type a key was seen with, for as long as it is live. */
const firstTypes: WeakMap<KeyState, KeyType> = new WeakMap()

export const faults: readonly Fault[] = [
  {
    name: 'loserNow',
    what: 'a write that loses is dropped on arrival',
    run: randomRun,
    plant: () =>
      replace(
        Strnum.prototype,
        'write',
        (original) =>
          function (this: Strnum, ...args) {
            original.apply(this, args)
            this.siblings = this.siblings.slice(-1)
          },
      ),
  },
  {
    name: 'fifoOnly',
    what: 'operations are delivered in the order of their origin only',
    run: randomRun,
    made: { Keyspace: Unchecked, Replica: FifoReplica },
  },
  {
    name: 'noChain',
    what: "the origin's previous operation isn't waited for",
    run: script('operationsAreChained'),
    made: { Keyspace: Unchecked, Replica: UnchainedReplica },
  },
  {
    name: 'cntNow',
    what: 'counter baselines are dropped at once',
    run: runOf('increment', 'increment', 'delete'),
    made: { Keyspace: ForgetsBaselines },
  },
  {
    name: 'ghostNow',
    what: 'ghost TTLs are dropped at once',
    run: focusedRun,
    made: { Keyspace: ForgetsGhosts },
  },
  {
    name: 'ghostText',
    what: 'a ghost TTL is dropped when the TTL write alone is known everywhere [A3]',
    run: script('ghostOutlivesItsTtlWrite'),
    made: { Keyspace: ForgetsGhostsByTtl },
  },
  {
    name: 'hbBypassHold',
    what: 'an acknowledgement counts while an operation of its sender is held [A7]',
    run: script('acknowledgementWaitsForHeldOperations'),
    made: { Replica: HastyReplica },
  },
  {
    name: 'noFresh',
    what: "creation doesn't end the TTL writes it saw [A4]",
    run: script('creationEndsTheGhostItHolds'),
    made: { Transaction: NoFresh },
  },
  {
    name: 'freshIfGhost',
    what: 'creation says so only where a ghost is [A4]',
    run: script('creationEndsTheGhostOfOthers'),
    made: { Transaction: FreshIfGhost },
  },
  {
    name: 'flushCtxOnly',
    what: 'FLUSH ships only its context [A1]',
    run: runOf('increment', 'hashIncrement', 'flush'),
    made: { Transaction: NoResetsOnFlush },
    plant: guessResets,
  },
  {
    name: 'cleanupNoReset',
    what: 'removal of a typed state ships only its context [A1]',
    run: randomRun,
    made: { Transaction: NoResetsOnRemove },
    plant: guessResets,
  },
  {
    name: 'ownKept',
    what: 'a removal leaves what its own origin counts',
    run: randomRun,
    plant: () =>
      replace(
        CountedRegister.prototype,
        'remove',
        (original) =>
          function (this: CountedRegister<Write, Amount>, context, resets, stamp) {
            const own = this.entries.filter((entry) => entry.origin === originOf(stamp))
            original.call(this, context, resets, stamp)
            this.entries = [...this.entries, ...own.filter((entry) => !this.entries.includes(entry))]
          },
      ),
  },
  {
    name: 'keepttlText',
    what: 'KEEPTTL always keeps, none included [B1]',
    run: randomRun,
    made: { Transaction: KeepTtlAlways },
  },
  {
    name: 'cleanupTtl',
    what: 'cleanup of a hidden string takes its infinite TTL along [B2]',
    run: runOf('set', 'setAdd', 'hashSet', 'expire'),
    made: { Transaction: NoCleanupPersist },
  },
  {
    name: 'flagLost',
    what: "a sibling's TTL flag isn't merged [D5]",
    run: runOf('set', 'set', 'expire'),
    plant: () =>
      replace(
        Strnum.prototype,
        'merge',
        (original) =>
          function (this: Strnum, own, other, label) {
            const flags = new Map(this.siblings.map((sibling) => [sibling.stamp, sibling.ttlApart]))
            original.call(this, own, other, label)
            for (const sibling of this.siblings)
              sibling.ttlApart = flags.get(sibling.stamp) ?? sibling.ttlApart
          },
      ),
  },
  {
    name: 'typeFirst',
    what: 'the type seen first shows',
    run: randomRun,
    plant: () =>
      replace(
        KeyState.prototype,
        'visibleType',
        (original) =>
          function (this: KeyState) {
            const first = firstTypes.get(this)
            const isLive = first !== undefined && (this.liveTypes & TypeBit[first]) !== 0
            const type = isLive ? first : original.call(this)
            if (type === undefined) firstTypes.delete(this)
            else firstTypes.set(this, type)
            return type
          },
      ),
  },
  {
    name: 'counterNoStamp',
    what: "a counter doesn't count for the visible type [B4]",
    run: randomRun,
    plant: () =>
      replace(
        Strnum.prototype,
        'greatest',
        () =>
          function (this: Strnum) {
            return this.siblings.at(-1)?.stamp ?? 0
          },
      ),
  },
  {
    name: 'removeUnseen',
    what: 'SREM removes adds it did not see',
    run: randomRun,
    plant: () =>
      replace(
        SetState.prototype,
        'remove',
        (original) =>
          function (this: SetState, _context, member) {
            original.call(this, everything, member)
          },
      ),
  },
  {
    name: 'mergeUnion',
    what: 'a merge takes what only the other side has, removed here or not',
    run: randomRun,
    plant: () =>
      replace(
        SetState.prototype,
        'merging',
        (original) =>
          function (this: SetState, own, other, label) {
            const nothing = own.map(() => 0)
            // What one side alone has is joined the other way round.
            return original.call(this, nothing, other, other.size === 0 ? nothing : label)
          },
      ),
  },
  {
    name: 'mergeAbsent',
    what: 'a merge takes absence for removal',
    run: randomRun,
    plant: () =>
      replace(
        Strnum.prototype,
        'merge',
        (original) =>
          function (this: Strnum, own, other, _label) {
            original.call(this, own, other, everything)
          },
      ),
  },
  ...fieldTtlFaults,
  ...scoreFaults,
  {
    name: 'txnDup',
    what: 'a transaction of which one slot is covered already is dropped whole [A17]',
    run: randomRun,
    made: { Replica: WholeOrNothingReplica },
  },
  ...listFaults,
  ...streamFaults,
  ...patchFaults,
  ...deleteWinsFaults,
]

export const madeWith = (fault: Fault): Production => ({ ...production, ...fault.made })
