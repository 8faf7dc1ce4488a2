/** Orders of events that random runs hardly meet, each a counterexample of the second model check. */
import { SeededRandom } from '#test/seed.ts'
import { deleteWinsScripts } from './deleteWinsScripts.ts'
import { listScripts } from './listScripts.ts'
import { Network } from './network.ts'
import { patchScripts } from './patchScripts.ts'
import type { Production, Replica } from './replica.ts'

const key = 'k'

function networkOf(count: number, production: Production): Network {
  return new Network(new SeededRandom(5), {
    replicas: count,
    commands: ['set'],
    keys: [key],
    production,
    skews: false,
  })
}

/** The key is made, A deletes it, M writes a TTL without having seen that: A holds a ghost. */
function ghostAt(network: Network, A: Replica, M: Replica): void {
  network.give(A, { command: 'setAdd', key, members: ['x'] })
  network.deliverAll(A, M)
  network.give(A, { command: 'delete', key })
  network.give(M, { command: 'expire', key, expireAtMs: network.nowMs + 100_000 })
  network.heartbeat(M)
  network.deliverAll(M, A)
}

export const scripts: Readonly<Record<string, (production: Production) => void>> = {
  ...listScripts,
  ...deleteWinsScripts,
  ...patchScripts,

  /** A3: that the EXPIRE is known everywhere isn't enough to drop the ghost; M, who hasn't seen the DEL, goes on writing. */
  ghostOutlivesItsTtlWrite(production) {
    const network = networkOf(2, production)
    const [A, M] = network.replicas as [Replica, Replica]
    ghostAt(network, A, M)
    A.forget()
    network.give(M, { command: 'setAdd', key, members: ['y'] })
    network.finish()
  },

  /** A4: A has dropped the ghost, M has not; M's creation ends it at M too. */
  creationEndsTheGhostItHolds(production) {
    const network = networkOf(2, production)
    const [A, M] = network.replicas as [Replica, Replica]
    ghostAt(network, A, M)
    network.heartbeat(A)
    network.deliverAll(A, M)
    network.heartbeat(M)
    network.deliverAll(M, A)
    A.forget()
    network.give(M, { command: 'setAdd', key, members: ['y'] })
    network.finish()
  },

  /** A4: the same the other way: who creates has no ghost any more, and must end the other's. */
  creationEndsTheGhostOfOthers(production) {
    const network = networkOf(2, production)
    const [A, M] = network.replicas as [Replica, Replica]
    ghostAt(network, A, M)
    network.heartbeat(A)
    network.deliverAll(A, M)
    network.heartbeat(M)
    network.deliverAll(M, A)
    A.forget()
    network.give(A, { command: 'setAdd', key, members: ['y'] })
    network.finish()
  },

  /** A7: M's acknowledgement of the DEL arrives while M's second INCR is held at A; counting it would bring the first back. */
  acknowledgementWaitsForHeldOperations(production) {
    const network = networkOf(3, production)
    const [A, M, C] = network.replicas as [Replica, Replica, Replica]
    network.give(M, { command: 'increment', key, amount: 3 })
    network.deliverAll(M, A)
    network.deliverAll(M, C)
    network.give(C, { command: 'increment', key, amount: 5 })
    network.deliverAll(C, M)
    network.give(M, { command: 'increment', key, amount: 9 })
    network.give(A, { command: 'delete', key })
    network.heartbeat(A)
    network.deliverAll(A, M)
    network.heartbeat(M)
    network.deliverAll(M, A)
    A.forget()
    network.deliverAll(C, A)
    network.finish()
  },

  /** Of two operations the first gets lost; the second alone must wait for it. */
  operationsAreChained(production) {
    const network = networkOf(2, production)
    const [A, B] = network.replicas as [Replica, Replica]
    network.give(A, { command: 'setAdd', key, members: ['x'] })
    network.loseAll(A, B)
    network.give(A, { command: 'setAdd', key, members: ['y'] })
    network.deliverAll(A, B)
    network.finish()
  },

  /** The first model's example: C keeps only the greater write, a delete that saw only that one removes it, the other comes. */
  losersAreKept(production) {
    const network = networkOf(4, production)
    const [A, B, C, D] = network.replicas as [Replica, Replica, Replica, Replica]
    network.give(B, { command: 'set', key, text: 'b' })
    network.give(A, { command: 'set', key, text: 'a' })
    network.deliverAll(A, C)
    network.deliverAll(B, C)
    network.deliverAll(B, D)
    network.deliverAll(A, D)
    network.give(D, { command: 'delete', key })
    network.finish()
  },
}
