/** The random networks that the convergence test and the mutation gate run. */
import { SeededRandom } from '#test/seed.ts'
import { Network } from './network.ts'
import type { Command, NetworkOptions } from './networkOptions.ts'
import type { Production } from './replica.ts'

export const allCommands: readonly Command[] = [
  'set',
  'setKeepTtl',
  'setExpiring',
  'patch',
  'increment',
  'delete',
  'expire',
  'deleteExpired',
  'flush',
  'hashSet',
  'hashIncrement',
  'hashDelete',
  'hashExpire',
  'setAdd',
  'setRemove',
  'zsetAdd',
  'zsetIncrement',
  'zsetRemove',
  'zsetRemoveRange',
  'listPush',
  'listPop',
  'listSet',
  'listInsert',
  'listRemove',
  'listTrim',
  'streamAdd',
  'streamDelete',
  'streamTrim',
  'streamSetId',
  'streamCreateGroup',
  'streamDestroyGroup',
  'streamAcknowledge',
  'hllAdd',
  'hllSet',
  'transaction',
]

/** Mixes in which what random choice rarely brings together happens all the time. */
export const presets: Readonly<Record<string, readonly Command[]>> = {
  ghostTtl: ['delete', 'delete', 'setAdd', 'setAdd', 'setAdd', 'setRemove', 'expire', 'expire'],
  patches: ['set', 'patch', 'patch', 'patch', 'patch', 'delete', 'expire', 'setExpiring'],
  patchesAmongOthers: ['set', 'patch', 'patch', 'increment', 'setKeepTtl', 'setAdd', 'flush', 'transaction'],
  patchedAlone: ['patch', 'patch', 'patch', 'transaction', 'delete'],
  counters: ['increment', 'increment', 'increment', 'delete', 'hashIncrement', 'hashIncrement', 'hashDelete'],
  fieldTtl: ['hashSet', 'hashIncrement', 'hashIncrement', 'hashDelete', 'hashExpire', 'hashExpire', 'delete'],
  fieldExpiry: ['hashSet', 'hashIncrement', 'hashExpire', 'hashExpire', 'expire', 'setAdd', 'setKeepTtl'],
  fieldExpiryAmongOthers: [
    'hashIncrement',
    'hashExpire',
    'hashExpire',
    'zsetAdd',
    'zsetIncrement',
    'listPush',
    'listPop',
    'set',
    'delete',
  ],
  typeConflict: ['set', 'increment', 'hashSet', 'hashIncrement', 'setAdd', 'listPush', 'delete'],
  scores: ['zsetAdd', 'zsetAdd', 'zsetIncrement', 'zsetIncrement', 'zsetRemove', 'zsetRemoveRange', 'delete'],
  scoresAmongOthers: [
    'zsetAdd',
    'zsetIncrement',
    'set',
    'hashIncrement',
    'setAdd',
    'expire',
    'delete',
    'flush',
  ],
  lists: ['listPush', 'listPop', 'listSet', 'listInsert', 'listInsert', 'listRemove', 'listTrim', 'delete'],
  inserts: ['listPush', 'listInsert', 'listInsert', 'listInsert', 'listInsert', 'listPop', 'listRemove'],
  streams: ['streamAdd', 'streamAdd', 'streamAdd', 'streamDelete', 'streamTrim', 'streamSetId', 'delete'],
  streamsAmongOthers: ['streamAdd', 'streamAdd', 'streamDelete', 'listPush', 'set', 'expire', 'flush'],
  groupsAmongOthers: [
    'streamCreateGroup',
    'streamCreateGroup',
    'streamDestroyGroup',
    'streamAdd',
    'set',
    'hllAdd',
    'setAdd',
    'expire',
    'delete',
    'flush',
  ],
  groups: [
    'streamAdd',
    'streamCreateGroup',
    'streamCreateGroup',
    'streamDestroyGroup',
    'streamAcknowledge',
    'streamAcknowledge',
    'delete',
  ],
  registers: ['hllAdd', 'hllAdd', 'hllAdd', 'hllAdd', 'delete', 'flush', 'expire'],
  registersAsStrings: ['hllAdd', 'hllAdd', 'hllSet', 'hllSet', 'set', 'expire', 'delete'],
  registersAmongOthers: ['hllAdd', 'hllAdd', 'set', 'setKeepTtl', 'setAdd', 'increment', 'expire', 'delete'],
  keepTtl: ['set', 'setKeepTtl', 'setKeepTtl', 'expire', 'setExpiring', 'hashSet', 'increment'],
}

/** Two keys of one slot, and one of another. */
export const keys: readonly string[] = ['{k}p', '{k}q', 'r']

const never = Number.POSITIVE_INFINITY
/** Short texts lie otherwise than long ones; which are long may differ from cluster to cluster. */
const patchedBytesMins: readonly Production['patchedBytesMin'][] = [
  () => 0,
  () => 4,
  () => never,
  (origin) => (origin % 2 === 0 ? 0 : never),
]

/** A run whose commands and ways follow from the seed. */
export function randomRun(seed: number, production: Production): void {
  const random = new SeededRandom(seed)
  const chosen = random.fraction()
  let commands: readonly Command[] = allCommands.filter(() => random.chance(0.1 + 0.5 * random.fraction()))
  if (chosen < 0.3) commands = random.pick(Object.values(presets))
  else if (chosen < 0.45 || commands.length === 0) commands = allCommands
  const options: NetworkOptions = {
    replicas: 2 + random.below(3),
    commands,
    keys: random.chance(0.5) ? keys.slice(0, 1) : keys,
    production: { ...production, patchedBytesMin: random.pick(patchedBytesMins) },
    slowLink: random.chance(0.3),
    calm: chosen < 0.3 ? random.below(3) : 0,
    operationsOnly: random.chance(0.2),
  }
  const network = new Network(random, options)
  for (let steps = 20 + random.below(160); steps > 0; steps--) network.step()
  network.finish()
  network.expireAll()
}

/** Runs of one key with few commands, and many slot states, for a fault that needs just those. */
export function runOf(...commands: Command[]): (seed: number, production: Production) => void {
  return (seed, production) => {
    const random = new SeededRandom(seed)
    const options = {
      replicas: 3,
      commands,
      keys: keys.slice(0, 1),
      production,
      statesOften: random.chance(0.7),
    }
    const network = new Network(random, options)
    for (let steps = 20 + random.below(60); steps > 0; steps--) network.step()
    network.finish()
  }
}

/** Short runs of one key with one slow link and much heartbeating: for the rules about what may be forgotten when. */
export function focusedRun(seed: number, production: Production): void {
  const random = new SeededRandom(seed)
  const network = new Network(random, {
    replicas: 3,
    commands: random.pick([
      ['increment', 'increment', 'increment', 'delete'],
      ['delete', 'setAdd', 'setAdd', 'expire', 'setRemove'],
      ['hashIncrement', 'hashIncrement', 'hashDelete', 'delete'],
      ['zsetIncrement', 'zsetIncrement', 'zsetRemove', 'zsetAdd'],
      ['increment', 'hashIncrement', 'set', 'delete', 'setAdd', 'expire'],
      ['hashIncrement', 'hashIncrement', 'hashExpire', 'hashDelete'],
      ['hllAdd', 'hllAdd', 'hllAdd', 'delete'],
    ]),
    keys: keys.slice(0, 1),
    production,
    slowLink: true,
    calm: 1 + random.below(2),
    operationsOnly: random.chance(0.7),
  })
  for (let steps = 25 + random.below(40); steps > 0; steps--) network.step()
  network.finish()
}
