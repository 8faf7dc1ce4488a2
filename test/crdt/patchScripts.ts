/** Orders of events in which patches of texts meet what their origin had not seen. */
import { SeededRandom } from '#test/seed.ts'
import { Network } from './network.ts'
import type { Production, Replica } from './replica.ts'

const key = 'k'

function networkOf(count: number, production: Production): Network {
  const options = { replicas: count, commands: ['set'] as const, keys: [key], production, skews: false }
  return new Network(new SeededRandom(5), options)
}

const append = (text: string) => ({ command: 'patch', key, offset: undefined, text }) as const

/** Both have a text, and B hears nothing of A. */
function apart(production: Production, count = 2): [Network, ...Replica[]] {
  const network = networkOf(count, production)
  const [A, ...others] = network.replicas as [Replica, ...Replica[]]
  network.give(A, { command: 'set', key, text: 'text' })
  for (const other of others) network.deliverAll(A, other)
  return [network, A, ...others]
}

export const patchScripts: Readonly<Record<string, (production: Production) => void>> = {
  /** The write that A patches is gone at B. */
  patchMeetsSet(production) {
    const [network, A, B] = apart(production) as [Network, Replica, Replica]
    network.give(B, { command: 'set', key, text: 'other' })
    network.give(A, append('-a'))
    network.deliverAll(A, B)
    network.deliverAll(B, A)
    network.finish()
  },

  /** A patch survives a DEL that had not seen it, whole. */
  patchMeetsDelete(production) {
    const [network, A, B] = apart(production) as [Network, Replica, Replica]
    network.give(B, { command: 'delete', key })
    network.give(A, append('-a'))
    network.deliverAll(A, B)
    network.finish()
  },

  /** Each patches the same write: the later result wins whole. */
  patchesMeet(production) {
    const [network, A, B] = apart(production) as [Network, Replica, Replica]
    network.give(A, append('-a'))
    network.give(B, append('-b'))
    network.deliverAll(A, B)
    network.deliverAll(B, A)
    network.give(A, append('-more'))
    network.finish()
  },

  /** C has A's patch and not yet B's SET; what it adds is at A by relay before A has B's. */
  patchOfPatchMeetsSet(production) {
    const [network, A, B, C] = apart(production, 3) as [Network, Replica, Replica, Replica]
    network.give(A, append('-a'))
    network.deliverAll(A, C)
    network.give(B, { command: 'set', key, text: 'other' })
    network.give(C, append('-c'))
    network.relay(C, B)
    network.deliverAll(B, A)
    network.deliverAll(C, A)
    network.finish()
  },

  /** A TTL that B gives doesn't end what A writes at the same time; the text under it is patched all the same. */
  patchMeetsExpire(production) {
    const [network, A, B] = apart(production) as [Network, Replica, Replica]
    network.give(B, { command: 'expire', key, expireAtMs: network.nowMs + 50_000 })
    network.give(A, append('-a'))
    network.deliverAll(A, B)
    network.deliverAll(B, A)
    network.finish()
  },

  /** The text and its patches come in one record, over what was deleted there. */
  patchesOfOwnRecord(production) {
    const [network, A, B] = apart(production) as [Network, Replica, Replica]
    network.give(B, { command: 'delete', key })
    network.give(A, { command: 'set', key, text: 'new' }, append('-1'), append('-2'))
    network.deliverAll(A, B)
    network.finish()
  },
}
