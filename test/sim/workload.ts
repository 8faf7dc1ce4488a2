/**
 * What the clients do: few keys, many conflicts. In each of a few hash slots there are keys on which anything happens, whose
 * only law is that all clusters agree in the end; and keys with a law of their own (see `ledger.ts`):
 *
 *     sum          only ever incremented, each time by an amount that no other increment has
 *     points       a sorted set with one member, only ever incremented in the same way
 *     grow         a set to which members are only added, each of them once
 *     order        a list to which values are only pushed on the right, each of them once
 *     feed         a stream to which entries are only added, each of them once
 *     left, right  two counters that one MULTI moves oppositely
 *     near, far    the same two, but in two slots (only where transactions span slots)
 *     text         a string that is only SET and DELeted, to values that are written once
 *
 * Some of the writes are done by scripts (`scriptedWrites.ts`).
 */
import { slotOfKey } from '#protocol/slots/crc16.ts'
import type { SeededRandom } from '#test/seed.ts'
import { scripted } from './scriptedWrites.ts'

export type Law = 'none' | 'sum' | 'points' | 'grow' | 'order' | 'feed' | 'pair' | 'across' | 'text' | 'flush'

export interface Operation {
  law: Law
  /** Hash tag of its keys. */
  tag: string
  write: boolean
  commands: string[][]
  /** The amount, member or value that it brings. */
  token: string
}

export interface WorkloadOptions {
  tags: readonly string[]
  flushing: boolean
  /** Nobody but the clients deletes, so that keys with a law may be written. */
  lawful: boolean
  /** Transactions and commands of several keys span slots. */
  spanning: boolean
  /** Of the writes, those that are done by scripts. */
  scriptedShare: number
}

export const keyOf = (tag: string, name: string): string => `{${tag}}${name}`

const freeNames = ['s', 'c', 'h', 't', 'z', 'l', 'x', 'p', 'm']
const fields = ['f', 'g']
const members = ['a', 'b', 'c']
/** What is added once, to a set, a list or a stream, among the bytes of an operation. */
export const uniqueElement = /[em][0-9]+;/
/** What the free keys are called, and those with a law. */
export const keyNames: readonly string[] = [
  ...freeNames,
  'sum',
  'points',
  'grow',
  'order',
  'feed',
  'left',
  'right',
  'text',
]

export class Workload {
  readonly #random: SeededRandom
  readonly #options: WorkloadOptions
  #tokens = 0

  constructor(random: SeededRandom, options: WorkloadOptions) {
    this.#random = random
    this.#options = options
  }

  get tags(): readonly string[] {
    return this.#options.tags
  }

  /** Two counters in two slots that one MULTI moves oppositely. */
  get acrossKeys(): readonly [near: string, far: string] {
    return [keyOf(this.tags[0] ?? '', 'near'), keyOf(this.tags[1] ?? '', 'far')]
  }

  next(): Operation {
    const operation = this.#plain()
    const mayBeScript = operation.write && operation.law !== 'flush'
    const isScript = mayBeScript && this.#random.chance(this.#options.scriptedShare)
    return isScript ? scripted(operation, this.#random) : operation
  }

  #plain(): Operation {
    const random = this.#random
    const tag = random.pick(this.tags)
    const key = (name: string) => keyOf(tag, name)
    const operation = (law: Law, write: boolean, commands: string[][], token = ''): Operation => ({
      law,
      tag,
      write,
      commands,
      token,
    })
    if (this.#options.spanning && random.chance(0.3)) {
      const { law, write, commands, token } = this.#across()
      return operation(law, write, commands, token)
    }
    const x = random.below(this.#options.lawful ? 100 : 54)
    if (x < 50) return operation('none', true, [this.#free(tag)])
    if (x < 54) return operation('none', true, this.#transaction(tag))
    if (x < 64) {
      const amount = `${1 + random.below(2 ** 31)}`
      if (x < 59) return operation('sum', true, [['INCRBY', key('sum'), amount]], amount)
      return operation('points', true, [['ZINCRBY', key('points'), amount, 'p']], amount)
    }
    if (x < 69) {
      const value = `e${this.#tokens++};`
      if (x < 67) return operation('order', true, [['RPUSH', key('order'), value]], value)
      return operation('feed', true, [['XADD', key('feed'), '*', 'f', value]], value)
    }
    if (x < 73) {
      const member = `m${this.#tokens++};`
      return operation('grow', true, [['SADD', key('grow'), member]], member)
    }
    if (x < 75) return operation('grow', false, [['SMEMBERS', key('grow')]])
    if (x < 82) {
      const amount = `${1 + random.below(2 ** 31)}`
      const moves = [
        ['INCRBY', key('left'), amount],
        ['DECRBY', key('right'), amount],
      ]
      return operation('pair', true, [['MULTI'], ...moves, ['EXEC']], amount)
    }
    if (x < 86) return operation('pair', false, [['MGET', key('left'), key('right')]])
    if (x < 92) {
      const value = `v${this.#tokens++}`
      return operation('text', true, [['SET', key('text'), value]], value)
    }
    if (x < 94) return operation('text', true, [['DEL', key('text')]])
    if (x < 98 || !this.#options.flushing) return operation('text', false, [['GET', key('text')]])
    return operation('flush', true, [['FLUSHALL']])
  }

  /** A write to a key without a law. */
  #free(tag: string): string[] {
    const random = this.#random
    // Each name mostly keeps its type; `m` takes any.
    const name = random.pick(freeNames)
    const kind =
      name === 'm' || random.chance(0.05) ? random.pick(['s', 'c', 'h', 't', 'z', 'l', 'x', 'p']) : name
    const key = keyOf(tag, name)
    const any = random.below(10)
    if (any === 0) return ['DEL', key]
    if (any === 1)
      return random.chance(0.6) ? ['PEXPIRE', key, `${100 + random.below(3_000)}`] : ['PERSIST', key]
    if (kind === 's') return this.#onString(key)
    if (kind === 'c') return this.#onCounter(key)
    if (kind === 'z') return this.#onSortedSet(key)
    if (kind === 'l') return this.#onList(key)
    if (kind === 'x') return this.#onStream(key)
    if (kind === 'p') return this.#onHyperLogLog(tag, key)
    return kind === 'h' ? this.#onHash(key) : this.#onSet(key)
  }

  #onString(key: string): string[] {
    const random = this.#random
    const value = `v${this.#tokens++}`
    switch (random.below(6)) {
      case 0: {
        const text = random.pick(['x', 'y'])
        return this.#tokens % 2 === 0 ? ['APPEND', key, text] : ['SETRANGE', key, '1', text]
      }
      case 1:
        return ['SET', key, value, 'PX', `${100 + random.below(3_000)}`]
      case 2:
        return ['SET', key, value, 'KEEPTTL']
      case 3:
        return ['SET', key, `${random.below(100)}`, random.pick(['NX', 'XX'])]
      case 4:
        return ['GETDEL', key]
      default:
        return ['SET', key, value]
    }
  }

  #onCounter(key: string): string[] {
    const random = this.#random
    switch (random.below(5)) {
      case 0:
        return ['SET', key, `${random.below(100)}`]
      case 1:
        return ['INCRBYFLOAT', key, `0.${1 + random.below(9)}`]
      case 2:
        return ['DECR', key]
      default:
        return ['INCRBY', key, `${1 + random.below(1000)}`]
    }
  }

  #onHash(key: string): string[] {
    const random = this.#random
    const field = random.pick(fields)
    switch (random.below(5)) {
      case 0:
        return ['HDEL', key, field]
      case 1:
      case 2:
        return ['HINCRBY', key, field, `${1 + random.below(1000)}`]
      default:
        return ['HSET', key, field, `${random.below(100)}`]
    }
  }

  #onSet(key: string): string[] {
    const random = this.#random
    switch (random.below(5)) {
      case 0:
        return ['SREM', key, random.pick(members)]
      case 1:
        return ['SPOP', key]
      case 2:
        return ['SADD', key, ...members]
      default:
        return ['SADD', key, random.pick(members)]
    }
  }

  #onSortedSet(key: string): string[] {
    const random = this.#random
    const member = random.pick(members)
    const score = `${random.below(20)}`
    switch (random.below(8)) {
      case 0:
        return ['ZREM', key, member]
      case 1:
        return ['ZREMRANGEBYSCORE', key, '0', '10']
      case 2:
        return ['ZPOPMIN', key]
      case 3:
      case 4:
        return ['ZINCRBY', key, `${1 + random.below(50)}`, member]
      case 5:
        return ['ZADD', key, random.pick(['GT', 'LT']), score, member]
      default:
        return ['ZADD', key, score, member]
    }
  }

  #onList(key: string): string[] {
    const random = this.#random
    // Few values, so that LINSERT finds one.
    const value = random.pick(members)
    const index = String(random.below(4) - 2)
    switch (random.below(11)) {
      case 0:
      case 1:
        return ['LPUSH', key, value, `v${this.#tokens++}`]
      case 2:
      case 3:
        return ['RPUSH', key, ...members]
      case 4:
        return [random.pick(['LPOP', 'RPOP']), key]
      case 5:
        return ['LSET', key, index, `v${this.#tokens++}`]
      case 6:
        return ['LREM', key, index, value]
      case 7:
        return ['LTRIM', key, String(random.below(2)), String(2 + random.below(6))]
      case 8:
        return ['LMOVE', key, key, random.pick(['LEFT', 'RIGHT']), random.pick(['LEFT', 'RIGHT'])]
      default:
        return ['LINSERT', key, random.pick(['BEFORE', 'AFTER']), value, random.pick(members)]
    }
  }

  #onStream(key: string): string[] {
    const random = this.#random
    const group = random.pick(fields)
    // As the first that cluster 1 or 2 gives in that millisecond.
    const id = `${1 + random.below(4)}-${1 + random.below(2)}`
    switch (random.below(12)) {
      case 0:
        return ['XDEL', key, id]
      case 1:
        return ['XTRIM', key, random.pick(['MAXLEN', 'MINID']), String(random.below(4))]
      case 2:
      case 3:
        return ['XGROUP', 'CREATE', key, group, random.pick(['0', '$']), 'MKSTREAM']
      case 4:
        return ['XGROUP', 'DESTROY', key, group]
      case 5:
      case 6:
        return ['XREADGROUP', 'GROUP', group, 'c', 'COUNT', '2', 'STREAMS', key, '>']
      case 7:
        return ['XACK', key, group, id]
      case 8:
        return ['XSETID', key, `${random.below(20)}-0`, 'ENTRIESADDED', '30', 'MAXDELETEDID', '0-0']
      default:
        return [
          'XADD',
          key,
          random.chance(0.5) ? '*' : String(1 + random.below(20)),
          'f',
          `v${this.#tokens++}`,
        ]
    }
  }

  #onHyperLogLog(tag: string, key: string): string[] {
    const random = this.#random
    switch (random.below(8)) {
      case 0:
        return ['PFMERGE', key, keyOf(tag, 'p')]
      case 1:
        return ['PFADD', key]
      case 2:
        return ['DEL', key]
      default:
        return ['PFADD', key, `e${random.below(200)}`, `e${random.below(200)}`]
    }
  }

  #across(): Pick<Operation, 'law' | 'write' | 'commands' | 'token'> {
    const random = this.#random
    const [near, far] = this.acrossKeys
    const x = random.below(this.#options.lawful ? 100 : 40)
    if (x < 40) return { law: 'none', write: true, commands: this.#freeAcross(), token: '' }
    if (x < 70) return { law: 'across', write: false, commands: [['MGET', near, far]], token: '' }
    const token = `${1 + random.below(2 ** 31)}`
    const moves = [
      ['INCRBY', near, token],
      ['DECRBY', far, token],
    ]
    return { law: 'across', write: true, commands: [['MULTI'], ...moves, ['EXEC']], token }
  }

  /** Writes to several slots at once. */
  #freeAcross(): string[][] {
    const random = this.#random
    const tag = () => random.pick(this.tags)
    switch (random.below(5)) {
      case 0:
        return [['LMOVE', keyOf(tag(), 'l'), keyOf(tag(), 'l'), 'LEFT', 'RIGHT']]
      case 1:
        return [['SMOVE', keyOf(tag(), 't'), keyOf(tag(), 't'), random.pick(members)]]
      case 2:
        return [['RENAME', keyOf(tag(), random.pick(freeNames)), keyOf(tag(), 'm')]]
      case 3:
        return [['MSET', ...this.tags.flatMap((one) => [keyOf(one, 's'), `v${this.#tokens++}`])]]
      default:
        return [['MULTI'], ...Array.from({ length: 3 }, () => this.#free(tag())), ['EXEC']]
    }
  }

  #transaction(tag: string): string[][] {
    const count = 2 + this.#random.below(3)
    return [['MULTI'], ...Array.from({ length: count }, () => this.#free(tag)), ['EXEC']]
  }
}

/** Hash tags whose slots are spread over the whole range, so that every shard has one. */
export function spreadTags(count: number): string[] {
  const tags: string[] = []
  for (let candidate = 0; tags.length < count; candidate++) {
    const tag = candidate.toString(36)
    if (Math.floor((slotOfKey(keyOf(tag, '')) * count) / 16384) === tags.length) tags.push(tag)
  }
  return tags
}
