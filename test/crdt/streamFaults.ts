/** Ways to build streams wrongly; see `faults.ts`. */
import { originsMax } from '#protocol/sync/stamp.ts'
import { greaterId, maxId, minId, type StreamId } from '#protocol/sync/streamId.ts'
import { emptyVector } from '#protocol/sync/versionVector.ts'
import { StreamState } from '#server/crdt/stream.ts'
import { StreamGroup } from '#server/crdt/streamGroup.ts'
import { StreamGroups } from '#server/crdt/streamGroups.ts'
import { StreamLog } from '#server/crdt/streamLog.ts'
import type { GroupStart } from '#server/store/streamIntents.ts'
import { Transaction } from '#server/store/transaction.ts'
import { everything, type Fault, replace } from './fault.ts'
import { presets, runOf } from './randomRuns.ts'

const nothing = emptyVector()
const runOfStreams = runOf(...(presets['streams'] ?? []))
const runOfGroups = runOf(...(presets['groups'] ?? []))

class OneStartTransaction extends Transaction {
  protected override startsOf(stream: StreamState | undefined, start: GroupStart): StreamId[] {
    const last = stream?.lastId ?? minId
    return super.startsOf(stream, start === 'end' ? last : start)
  }
}

/** A removal that looks at no context. */
const boundless = (name: 'trim' | 'removeIds'): (() => void) =>
  replace(
    StreamState.prototype,
    name,
    (original: (context: Float64Array, what: never) => void) =>
      function (this: StreamState, _context: Float64Array, what: never) {
        original.call(this, everything, what)
      },
  )

export const streamFaults: readonly Fault[] = [
  {
    name: 'trimBeyond',
    what: 'XTRIM takes entries that it has not seen',
    run: runOfStreams,
    plant: () => boundless('trim'),
  },
  {
    name: 'deleteBeyond',
    what: 'XDEL takes entries that it has not seen, with the same id',
    run: runOfStreams,
    plant: () => boundless('removeIds'),
  },
  {
    name: 'oneEntryAnId',
    what: 'of two entries with one id the first is all there is',
    run: runOfStreams,
    plant: () =>
      replace(
        StreamState.prototype,
        'range',
        (original) =>
          function* (this: StreamState, from, to) {
            let last: StreamId | undefined
            for (const entry of original.call(this, from, to)) {
              if (entry.id !== last) yield entry
              last = entry.id
            }
          },
      ),
  },
  {
    name: 'unionOfEntries',
    what: 'a merge takes all entries of both sides: absent but covered is not removed',
    run: runOfStreams,
    plant: () =>
      replace(
        StreamLog,
        'merging',
        () =>
          // biome-ignore lint/correctness/useYield: all in the last step
          function* (mine, _own, theirs): Generator<void, StreamLog> {
            for (const cursor of [...theirs.entries()]) mine.add(cursor.entry)
            return mine
          },
      ),
  },
  {
    name: 'marksOfOthers',
    what: 'XADD takes the place of the marks of other clusters, and of what they have added',
    run: runOfStreams,
    plant: () =>
      replace(
        StreamState.prototype,
        'add',
        (original) =>
          function (this: StreamState, stamp, marks, entries) {
            original.call(this, stamp, marks, entries)
            this.setMarks(everything, stamp, marks)
          },
      ),
  },
  {
    name: 'marksBeside',
    what: 'XSETID stands beside the marks it has seen',
    run: runOfStreams,
    plant: () =>
      replace(
        StreamState.prototype,
        'setMarks',
        (original) =>
          function (this: StreamState, _context, stamp, marks) {
            original.call(this, nothing, stamp, marks)
          },
      ),
  },
  {
    name: 'deletionForAll',
    what: 'marks that XDEL has not seen know of it: those that come later do not',
    run: runOfStreams,
    plant: () =>
      replace(
        StreamState.prototype,
        'removeIds',
        (original) =>
          function (this: StreamState, context, ids) {
            original.call(this, context, ids)
            const gone = ids.filter((id) => [...this.range(id, id)].length === 0)
            original.call(this, everything, gone)
          },
      ),
  },
  {
    name: 'marksOutliveDelete',
    what: 'DEL leaves the marks: the stream stays, empty',
    run: runOfStreams,
    plant: () =>
      replace(
        StreamState.prototype,
        'delete',
        () =>
          function (this: StreamState, context) {
            this.trim(context, maxId)
          },
      ),
  },
  {
    name: 'groupWins',
    what: 'a group that has not seen a delete is created all the same',
    run: runOfGroups,
    plant: () =>
      replace(
        StreamGroups.prototype,
        'create',
        (original) =>
          function (this: StreamGroups, _context, stamp, name, starts) {
            original.call(this, everything, stamp, name, starts)
          },
      ),
  },
  {
    name: 'deleteOfSeenGroups',
    what: 'DEL of the key ends the groups it has seen, and leaves no stamp for others [X-6]',
    run: runOfGroups,
    plant: () =>
      replace(
        StreamGroups.prototype,
        'deleteAll',
        () =>
          function (this: StreamGroups) {
            this.clear()
          },
      ),
  },
  {
    name: 'deletedGroupsMerge',
    what: 'a state brings groups along that have not seen a delete',
    run: runOfGroups,
    plant: () =>
      replace(
        StreamGroups.prototype,
        'merge',
        (original) =>
          function (this: StreamGroups, _own, other, _label) {
            original.call(this, everything, other, everything)
          },
      ),
  },
  {
    name: 'greatestStart',
    what: 'of concurrent creations the greatest start counts: entries are skipped [C]',
    run: runOfGroups,
    plant: () =>
      replace(
        StreamGroup.prototype,
        'create',
        (original) =>
          function (this: StreamGroup, stamp, starts) {
            original.call(
              this,
              stamp,
              starts.map((start, origin) => greaterId(start, this.start(origin))),
            )
          },
      ),
  },
  {
    name: 'oneStart',
    what: "'$' is the last id for the entries of all clusters",
    run: runOfGroups,
    made: { Transaction: OneStartTransaction },
  },
  {
    name: 'ackedWithGaps',
    what: 'the greatest id acknowledged counts, whatever lies before it [C]',
    run: runOfGroups,
    plant: () =>
      replace(
        StreamGroup.prototype,
        'acknowledge',
        (original) =>
          function (this: StreamGroup, origin, interval) {
            original.call(this, origin, { ...interval, from: minId })
          },
      ),
  },
  {
    name: 'ackedByOne',
    what: 'what one cluster acknowledges takes the place of what another has',
    run: runOfGroups,
    plant: () =>
      replace(
        StreamGroup.prototype,
        'acknowledge',
        (original) =>
          function (this: StreamGroup, origin, interval) {
            const stamp = interval.stamp - (interval.stamp % originsMax)
            original.call(this, origin, { ...interval, stamp })
          },
      ),
  },
]
