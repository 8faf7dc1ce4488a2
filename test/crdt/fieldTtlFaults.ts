/** Faults of the TTLs of hash fields; see `faults.ts`. */
import { FieldTtls } from '#server/crdt/fieldTtls.ts'
import { HashState } from '#server/crdt/hash.ts'
import { Strnum } from '#server/crdt/strnum.ts'
import { Transaction } from '#server/store/transaction.ts'
import { everything, type Fault, ForgetsGhosts, replace } from './fault.ts'
import { runOf } from './randomRuns.ts'

class NoNewField extends Transaction {
  protected override isNewField(): boolean {
    return false
  }
}

export const fieldTtlFaults: readonly Fault[] = [
  {
    name: 'fieldGhostNow',
    what: 'ghost TTLs of fields are dropped at once',
    run: runOf('hashIncrement', 'hashIncrement', 'hashDelete', 'hashExpire'),
    made: { Keyspace: ForgetsGhosts },
  },
  {
    name: 'noNewField',
    what: "an increment that creates a field doesn't end the TTL writes it saw",
    run: runOf('hashIncrement', 'hashIncrement', 'hashDelete', 'hashExpire'),
    made: { Transaction: NoNewField },
  },
  {
    name: 'hashSetKeepsTtl',
    what: 'HSET leaves the TTL of the field',
    run: runOf('hashSet', 'hashExpire'),
    plant: () =>
      replace(HashState.prototype, 'clearFieldTtl', () => () => {
        // Nothing ends.
      }),
  },
  {
    name: 'lastFieldTtl',
    what: 'of concurrent TTLs of a field the one that comes last stays',
    run: runOf('hashSet', 'hashExpire'),
    plant: () =>
      replace(
        HashState.prototype,
        'writeFieldTtl',
        (original) =>
          function (this: HashState, _context, ...rest) {
            original.call(this, everything, ...rest)
          },
      ),
  },
  {
    name: 'fieldFlagLost',
    what: "a field sibling's TTL flag isn't merged",
    run: runOf('hashSet', 'hashSet', 'hashExpire'),
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
    name: 'shownTooLong',
    what: 'a field shows until it is deleted',
    run: runOf('hashSet', 'hashExpire'),
    plant: () => replace(FieldTtls.prototype, 'passed', () => () => new Set<string>()),
  },
]
