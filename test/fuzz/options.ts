/** What `npm run fuzz` is told. */
import { parseArgs } from 'node:util'

const help = `npm run fuzz -- [OPTIONS]

Hostile clients at the database port: random bytes, requests with something amiss, cut and mixed with disconnects, in both
protocols, with transactions, scripts, subscriptions and waiting commands. All replies must be well-formed and as many as the
requests, other clients must be served, and in the end the database must be as good as new. Without --lab, whole databases in
this process: seed after seed, each of which can be repeated.

  --minutes N   how long (1)
  --seed N      the first seed (a random one)
  --runs N      so many seeds instead of so many minutes
  --steps N     of each seed (150)
  --lab         real processes over sockets: two clusters of two shards and two proxies each; --seed repeats what is
                sent, not when; nothing may restart, memory must come back, and the clusters must be equal in the end`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    runs: { type: 'string' },
    steps: { type: 'string', default: '150' },
    lab: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(help)
  process.exit(0)
}

export const options = {
  minutes: values.runs === undefined ? Number(values.minutes) : Number.POSITIVE_INFINITY,
  runs: values.runs === undefined ? Number.POSITIVE_INFINITY : Number(values.runs),
  seed: values.seed === undefined ? null : Number(values.seed),
  steps: Number(values.steps),
  lab: values.lab,
}
