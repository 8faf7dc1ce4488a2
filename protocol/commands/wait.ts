import { integer } from './grammar.ts'
import type { CommandTable } from './table.ts'

/** Waiting for copies of what was written. */
export const waitCommands = {
  WAIT: {
    arity: 3,
    flags: ['noscript'],
    categories: ['slow', 'connection'],
    keys: [],
    tips: ['request_policy:all_shards', 'response_policy:agg_min'],
    request: 'waited',
    reply: 'single',
    geo: 'local',
    geoNote: 'About replicas within this cluster; `CRDT.WAIT` waits for other clusters.',
    difference: 'A shard has no replicas here, so the answer is 0, at the end of the timeout.',
    since: '3.0.0',
    complexity: 'O(1)',
    summary: 'Waits until replicas in this cluster have what the connection has written.',
    args: [integer('numreplicas'), integer('timeout')],
  },
} satisfies CommandTable
