/** Orders of events that only matter where deletes win: states older than a delete that has been forgotten. */
import { slotOfKey } from '#protocol/slots/crc16.ts'
import { SeededRandom } from '#test/seed.ts'
import { Network } from './network.ts'
import { type Production, Replica, type SlotCut } from './replica.ts'
import { must } from './shown.ts'

const key = 'k'
const slot = slotOfKey(key)

function networkOf(count: number, production: Production): Network {
  const options = { replicas: count, commands: ['hllAdd' as const], keys: [key], production, skews: false }
  return new Network(new SeededRandom(5), options)
}

function spread(network: Network, from: Replica): void {
  for (const to of network.replicas) if (to !== from) network.deliverAll(from, to)
}

/** All tell what they have, and then what they have of what the others told. */
function acknowledge(network: Network): void {
  for (let round = 0; round < 2; round++) {
    for (const replica of network.replicas) network.heartbeat(replica)
    for (const replica of network.replicas) spread(network, replica)
  }
}

interface Forgotten {
  /** Of B, from before the delete. */
  old: SlotCut
}

/** All have an add; C deletes it, all acknowledge that, and A forgets the delete. */
function forgottenAt(network: Network, A: Replica, B: Replica, C: Replica): Forgotten {
  network.give(A, { command: 'hllAdd', key, values: [[1, 2]] })
  spread(network, A)
  const old = B.cut(slot)
  network.give(C, { command: 'delete', key })
  spread(network, C)
  acknowledge(network)
  A.forget()
  must(A.keyspace.residues === 0, () => 'the delete is not forgotten')
  return { old }
}

/** In place of one that has lost its data, and had written nothing. */
function startedAnew(replica: Replica, production: Production): Replica {
  return new Replica(replica.origin, replica.members, production)
}

export const deleteWinsScripts: Readonly<Record<string, (production: Production) => void>> = {
  /** A5: B's state comes to A by a slow path; A can't tell any more what the delete took. */
  oldStateIsRefused(production) {
    const network = networkOf(3, production)
    const [A, B, C] = network.replicas as [Replica, Replica, Replica]
    const { old } = forgottenAt(network, A, B, C)
    A.merge(old, [])
    network.finish()
  },

  /** The same where A has learned of the delete by a state, and never had its stamp. */
  floorGoesWithStates(production) {
    const network = networkOf(4, production)
    const [A, B, C, D] = network.replicas as [Replica, Replica, Replica, Replica]
    const { old } = forgottenAt(network, A, B, C)
    const anew = startedAnew(D, production)
    network.replicas[3] = anew
    anew.merge(A.cut(slot), A.log)
    anew.merge(old, [])
    network.checkReplica(anew)
    network.finish()
  },

  /** D has lost its data. It gets the add by B's log, then a state of A, which has forgotten the delete that took it. */
  lostDataIsVoid(production) {
    const network = networkOf(4, production)
    const [A, B, C, D] = network.replicas as [Replica, Replica, Replica, Replica]
    forgottenAt(network, A, B, C)
    const anew = startedAnew(D, production)
    network.replicas[3] = anew
    for (const shipment of B.log.slice(0, 1)) anew.receive(shipment)
    anew.merge(A.cut(slot), A.log)
    network.checkReplica(anew)
    network.finish()
  },

  /** An add that has seen the delete counts where the delete is forgotten and where it isn't. */
  addsGoOnAfterwards(production) {
    const network = networkOf(3, production)
    const [A, B, C] = network.replicas as [Replica, Replica, Replica]
    forgottenAt(network, A, B, C)
    network.give(B, { command: 'hllAdd', key, values: [[1, 1]] })
    spread(network, B)
    C.merge(A.cut(slot), A.log)
    A.merge(C.cut(slot), C.log)
    network.finish()
  },

  /** A delete that the origin of an add had not seen takes it, whichever comes first, and by whatever way. */
  deleteTakesWhatItHasNotSeen(production) {
    const network = networkOf(3, production)
    const [A, B, C] = network.replicas as [Replica, Replica, Replica]
    network.give(A, { command: 'hllAdd', key, values: [[1, 2]] })
    spread(network, A)
    network.give(A, { command: 'hllAdd', key, values: [[2, 2]] })
    network.give(B, { command: 'delete', key })
    C.merge(A.cut(slot), A.log)
    C.merge(B.cut(slot), B.log)
    network.checkReplica(C)
    network.finish()
  },
}
