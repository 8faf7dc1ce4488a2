/** Ways to get patches of texts wrong, as `faults.ts` has them for the rest. */
import { covers } from '#protocol/sync/versionVector.ts'
import { EffectWriter } from '#server/crdt/effectWriter.ts'
import { Strnum } from '#server/crdt/strnum.ts'
import { EntryTable } from '#server/store/entryTable.ts'
import { Keyspace } from '#server/store/keyspace.ts'
import { Transaction } from '#server/store/transaction.ts'
import { type Fault, replace } from './fault.ts'
import { runOf } from './randomRuns.ts'

/** A patch is done to what shows, whether its origin has seen that or not. */
export function patchWhatShows(): () => void {
  const holds = replace(
    EntryTable.prototype,
    'holdsWrite',
    () =>
      function (this: EntryTable, ref) {
        return ref !== 0 && this.typeOf(ref) === 'string'
      },
  )
  const text = replace(
    Strnum.prototype,
    'textWrittenAt',
    () =>
      function (this: Strnum) {
        return this.siblings.at(-1)?.text
      },
  )
  return () => {
    holds()
    text()
  }
}

/** What a patch lacks isn't looked for: the keyspace leaves out what it can't apply. */
class NeverLacking extends Keyspace {
  override lacksBase(): boolean {
    return false
  }
}

/** Texts that expire are patched like the others. */
class EndsTtl extends Transaction {
  protected override keepsTtl(): boolean {
    return false
  }
}

/** As KEEPTTL always keeps (B1). */
class KeepsTtlAlways extends Transaction {
  protected override keepsTtl(): boolean {
    return true
  }
}

const run = runOf('set', 'patch', 'patch', 'patch', 'delete', 'setExpiring', 'expire', 'transaction')

export const patchFaults: readonly Fault[] = [
  { name: 'patchShown', what: 'a patch is done to whatever text shows', run, plant: patchWhatShows },
  {
    name: 'patchSkipped',
    what: 'a patch whose base is gone is left out, and counts as applied',
    run,
    made: { Keyspace: NeverLacking },
  },
  {
    name: 'patchKeepsStamp',
    what: 'a patched text keeps the stamp of the write before',
    run,
    plant: () =>
      replace(
        EntryTable.prototype,
        'patchText',
        (original) =>
          function (this: EntryTable, _stamp, ...of) {
            original.call(this, this.stamp(this.find()), ...of)
          },
      ),
  },
  {
    name: 'patchOfPrevious',
    what: 'a second patch of a transaction names what the first one patched',
    run,
    plant: () => {
      const bases = new WeakMap<EffectWriter, number>()
      return replace(
        EffectWriter.prototype,
        'patchText',
        (original) =>
          function (this: EffectWriter, stamp, key, base, ...of) {
            const before = this.length === 0 ? base : (bases.get(this) ?? base)
            bases.set(this, before)
            original.call(this, stamp, key, before, ...of)
          },
      )
    },
  },
  {
    name: 'patchExpiring',
    what: 'a patch of a text that expires ends its TTL',
    run,
    made: { Transaction: EndsTtl },
  },
  {
    name: 'patchKeepsNone',
    what: 'a patch of a text that does not expire leaves that to the write before [B1]',
    run,
    made: { Transaction: KeepsTtlAlways },
  },
  {
    name: 'ttlUncovered',
    what: 'a TTL write of a long text is lost to what had not seen it',
    run,
    plant: () =>
      replace(
        EntryTable.prototype,
        'coveredBy',
        () =>
          function (this: EntryTable, ref, context) {
            return covers(context, this.stamp(ref))
          },
      ),
  },
]
