/** What Redis Enterprise documents of lists (L-1 to L-4, J-10), and the habits that made ids long or runs interleave. */
import { SeededRandom } from '#test/seed.ts'
import { Network } from './network.ts'
import type { Production, Replica } from './replica.ts'
import { productionView } from './shown.ts'

const key = 'k'
/** Rule D9: whatever is done again and again at one place. */
const shallowDepth = 4

class Lists {
  readonly network: Network
  readonly A: Replica
  readonly B: Replica

  constructor(production: Production) {
    this.network = new Network(new SeededRandom(5), {
      replicas: 2,
      commands: ['listPush'],
      keys: [key],
      production,
      skews: false,
    })
    const [A, B] = this.network.replicas as [Replica, Replica]
    this.A = A
    this.B = B
  }

  push(replica: Replica, side: 'left' | 'right', ...values: string[]): void {
    this.network.advance(1)
    this.network.give(replica, { command: 'listPush', key, side, values })
  }

  insert(replica: Replica, index: number, text: string, laterMs = 1): void {
    this.network.advance(laterMs)
    this.network.give(replica, { command: 'listInsert', key, index, text })
  }

  remove(replica: Replica, index: number): void {
    this.network.advance(1)
    this.network.give(replica, { command: 'listRemove', key, indexes: [index] })
  }

  sync(): void {
    this.network.heal()
    this.network.checkConverged()
  }

  texts(): string {
    this.sync()
    return productionView(this.A, key)
      .list.map(({ text }) => text)
      .join(' ')
  }

  expect(wanted: string): void {
    const shown = this.texts()
    if (shown !== wanted) throw new Error(`shows ${shown}, not ${wanted}`)
  }
}

/** Two clusters insert four each, in turn and unseen by the other: neither's are among the other's. */
function runs(lists: Lists, indexOf: (number: number) => number): void {
  lists.push(lists.A, 'right', 'p', 'q')
  lists.sync()
  for (let number = 0; number < 4; number++) {
    lists.insert(lists.A, indexOf(number), `a${number}`)
    lists.insert(lists.B, indexOf(number), `b${number}`)
  }
  const order = lists.texts().replaceAll(/[^ab]/g, '')
  if (/a.*b.*a|b.*a.*b/.test(order)) throw new Error(`runs interleave: ${order}`)
}

function expectShallow({ A }: Lists): void {
  const { tables } = A.keyspace
  const list = tables.listElements(tables.findText(key))
  for (let index = 0; index < (list?.size ?? 0); index++) {
    const depth = (list?.idAt(index).length ?? 0) / 3
    if (depth > shallowDepth) throw new Error(`an id of ${depth} steps`)
  }
}

export const listScripts: Readonly<Record<string, (production: Production) => void>> = {
  L1(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'left', 'hello')
    lists.sync()
    lists.push(lists.B, 'left', 'world')
    lists.expect('world hello')
  },

  L2(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'left', 'x')
    lists.sync()
    lists.insert(lists.A, 1, 'y1')
    lists.insert(lists.B, 1, 'y2')
    lists.expect('x y1 y2')
  },

  /** On an equal time the smaller cluster id comes first (rule B7). */
  L2sameInstant(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'left', 'x')
    lists.sync()
    lists.network.advance(50)
    lists.insert(lists.A, 1, 'y1', 0)
    lists.insert(lists.B, 1, 'y2', 0)
    lists.expect('x y1 y2')
  },

  L2inTheMiddle(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'left', 'w', 'x')
    lists.sync()
    lists.insert(lists.A, 1, 'y1')
    lists.insert(lists.B, 1, 'y2')
    lists.expect('x y1 y2 w')
  },

  L2beforeAnEarlierInsert(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'left', 'w', 'x')
    lists.insert(lists.A, 1, 'y0')
    lists.sync()
    lists.insert(lists.A, 1, 'y1')
    lists.insert(lists.B, 1, 'y2')
    lists.expect('x y1 y2 y0 w')
  },

  L3(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'left', 'x')
    lists.sync()
    lists.push(lists.A, 'left', 'y')
    lists.network.give(lists.B, { command: 'delete', key })
    lists.expect('y')
  },

  L4(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'left', 'x', 'y', 'z')
    lists.sync()
    lists.remove(lists.B, 2)
    lists.sync()
    lists.remove(lists.A, 1)
    lists.sync()
    lists.remove(lists.A, 0)
    lists.remove(lists.B, 0)
    lists.expect('')
  },

  J10(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'right', 'a', 'b', 'c')
    lists.sync()
    lists.remove(lists.A, 1)
    lists.insert(lists.A, 1, 'x')
    lists.insert(lists.B, 0, 'y')
    lists.insert(lists.B, 2, 'z')
    lists.expect('y a x z c')
  },

  runsAfterTheLastStayWhole(production) {
    runs(new Lists(production), (number) => 1 + number)
  },

  runsAtOneAnchorStayWhole(production) {
    runs(new Lists(production), () => 1)
  },

  insertsStayShallow(production) {
    const habits: ((number: number, size: number) => number)[] = [
      () => 0,
      (_, size) => size,
      () => 1,
      (_, size) => size - 1,
      (number) => 1 + number,
    ]
    for (const habit of habits) {
      const lists = new Lists(production)
      lists.push(lists.A, 'right', 'p', 'q')
      for (let number = 0; number < 100; number++)
        lists.insert(lists.A, habit(number, 2 + number), `${number}`)
      expectShallow(lists)
    }
  },

  /** An LSET that an LPOP has not seen brings its element back, in its place. */
  setOutlivesPop(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'right', 'a', 'b', 'c')
    lists.sync()
    lists.network.give(lists.A, { command: 'listPop', key, side: 'left', count: 2 })
    lists.network.give(lists.B, { command: 'listSet', key, index: 1, text: 'B' })
    lists.expect('B c')
  },

  /** LTRIM takes nothing that was pushed unseen, wherever it lies. */
  trimSparesTheUnseen(production) {
    const lists = new Lists(production)
    lists.push(lists.A, 'right', 'a', 'b', 'c', 'd')
    lists.sync()
    lists.network.give(lists.A, { command: 'listTrim', key, start: 1, end: 2 })
    lists.push(lists.B, 'left', 'x')
    lists.insert(lists.B, 4, 'y')
    lists.push(lists.B, 'right', 'z')
    lists.expect('x b y z')
  },
}
