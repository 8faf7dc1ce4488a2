/** What `npm run chaos` is told, and what follows from it. */
import { parseArgs } from 'node:util'

const help = `npm run chaos -- [OPTIONS]

Real clusters of real processes over a bad WAN (80 ms there and back, one packet in a hundred lost): links are cut, one way
too, processes are killed and stopped, clusters join, leave, are forced out and come back, disks are found empty; and
clients check what must hold whatever happens (test/chaos/laws). Needs root and /dev/net/tun, for network namespaces of
its own. What belongs to a run lies in a folder of its own, which stays when something is broken.

  --minutes N         how long there is trouble (10)
  --clusters N        2 to 5 of them to begin with; below 5, one more may join (3)
  --shards N          of each cluster (1)
  --persistence HOW   everysec or always (everysec)
  --backlog BYTES     of each shard; small: whoever was away gets the state of slots, not the log (131072)
  --still             nobody joins or leaves, and no disk is lost
  --seed N            repeats what is done, not when
  --keep              the folder stays when everything held, too

Fewer clients, and slower ones, ask each of many clusters, so that five of them fit on two cores.
Ctrl-C ends the trouble early; what there is by then is judged.`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    clusters: { type: 'string', default: '3' },
    shards: { type: 'string', default: '1' },
    persistence: { type: 'string', default: 'everysec' },
    backlog: { type: 'string', default: String(128 * 1024) },
    still: { type: 'boolean', default: false },
    seed: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(help)
  process.exit(0)
}

const clustersMax = 5
/** Of all clusters together. */
const clientsWanted = 12

function number(name: 'minutes' | 'clusters' | 'shards' | 'backlog', least: number, most: number): number {
  const value = Number(values[name])
  if (value >= least && value <= most) return value
  console.error(`--${name} ${values[name]}: from ${least} to ${most}`)
  process.exit(2)
}

const clusters = number('clusters', 2, clustersMax)

export const options = {
  minutes: number('minutes', 0, 24 * 60),
  /** At the beginning. */
  clusters,
  /** At any time. */
  clustersMax: values.still ? clusters : Math.min(clustersMax, clusters + 1),
  shards: number('shards', 1, 8),
  persistence: values.persistence === 'always' ? 'always' : 'everysec',
  backlogBytes: number('backlog', 64 * 1024, 2 ** 30),
  still: values.still,
  seed: values.seed === undefined ? null : Number(values.seed),
  keep: values.keep,
  /** Whether this is the program that runs in the namespace of the clients. */
  inside: values.inside,
  clientsOfEach: Math.max(2, Math.floor(clientsWanted / clusters)),
  thinkMsMax: 8 * clusters,
} as const
