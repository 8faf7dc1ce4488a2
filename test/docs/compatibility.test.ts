/**
 * The table is the only source: each row has who runs it, is compared with a real redis-server (or it is said why not) and has
 * its place in the documentation; and the report names every command of Redis.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compatibilityPage } from '#control/docs/compatibility.ts'
import { generatedFiles } from '#control/docs/generated.ts'
import { redisCommands } from '#control/docs/redisCommands.ts'
import { type CommandSpec, commandNamed, commands } from '#protocol/commands/index.ts'
import { refusedNames, whyRefused } from '#protocol/commands/refused.ts'
import { runByShard } from '#protocol/commands/table.ts'
import { localCommands } from '#proxy/local/index.ts'
import { handlers } from '#server/commands/index.ts'
import { makes } from '#test/compat/generator.ts'
import { sessionRequests } from '#test/compat/sessionRequests.ts'
import { type ParsedReply, RealRedis } from '#test/realRedis.ts'

const root = join(import.meta.dirname, '..', '..')
const redis: { server?: RealRedis } = {}

beforeAll(async () => {
  redis.server = await RealRedis.start()
})
afterAll(() => redis.server?.stop())

/** What a client can call. */
const rows: readonly CommandSpec[] = [...commands.values()].flatMap((spec) => {
  if (!spec.isContainer) return [spec]
  return spec.arity === -1 ? [spec, ...spec.subcommands] : [...spec.subcommands]
})

const since74 = 'the oracle is 7.0: test/commands/hashExpiry.test.ts'
const ofTheProcess = 'tells of its own process: test/proxy/introspection.test.ts'
const ofClients = 'tells of its own clients: test/proxy/client.test.ts'
const ofSnapshots = 'writes to a disk: test/proxy/snapshot.test.ts'
const ofTheTable = 'compared in test/commands/redisFacts.test.ts'
const ofSubscribers = 'by several clients: test/compat/pubsub.test.ts'
const ofTracking = 'by several clients: test/compat/tracking.test.ts'
const ownHelp = 'has fewer subcommands to tell of: test/proxy/introspection.test.ts'
const ofScripts = 'compared in test/compat/scripts.test.ts'
const endsIt = 'would end or change the connection of the comparison: test/proxy/authentication.test.ts'

const severalClients = 'several clients are needed: test/acl/sessions.test.ts'
const ofTheAclFile = 'reads or writes a file of the node: test/proxy/users.test.ts, test/e2e/users.test.ts'

const reasons: readonly (readonly [reason: string, names: string])[] = [
  [ofTheProcess, 'INFO MEMORY|DOCTOR MEMORY|MALLOC-STATS'],
  ['forgets what its own process has counted: test/proxy/workers.test.ts', 'CONFIG|RESETSTAT'],
  [ofClients, 'CLIENT|ID CLIENT|INFO CLIENT|LIST CLIENT|NO-TOUCH CLIENT|SETINFO'],
  [ofSnapshots, 'BGREWRITEAOF BGSAVE LASTSAVE SAVE'],
  [ofTheTable, 'COMMAND COMMAND|COUNT COMMAND|DOCS COMMAND|HELP COMMAND|INFO'],
  [ofSubscribers, 'PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE UNSUBSCRIBE PUBSUB|HELP'],
  [ofTracking, 'CLIENT|CACHING CLIENT|GETREDIR CLIENT|TRACKING CLIENT|TRACKINGINFO'],
  [ownHelp, 'CLIENT|HELP CONFIG|HELP'],
  ['has fewer subcommands to tell of: test/proxy/refused.test.ts', 'MODULE|HELP'],
  [endsIt, 'QUIT RESET'],
  ['its lines are those of redis-server: test/proxy/monitor.test.ts', 'MONITOR'],
  [
    severalClients,
    'ACL|CAT ACL|DELUSER ACL|DRYRUN ACL|GENPASS ACL|GETUSER ACL|HELP ACL|LIST ACL|LOG ACL|SETUSER ACL|USERS ACL|WHOAMI',
  ],
  [ofTheAclFile, 'ACL|LOAD ACL|SAVE'],
  [
    ofScripts,
    'EVAL EVALSHA EVALSHA_RO EVAL_RO SCRIPT|EXISTS SCRIPT|FLUSH SCRIPT|HELP SCRIPT|KILL SCRIPT|LOAD',
  ],
  [
    'compared in test/compat/functions.test.ts',
    'FCALL FCALL_RO FUNCTION|DELETE FUNCTION|DUMP FUNCTION|FLUSH FUNCTION|HELP FUNCTION|KILL FUNCTION|LIST FUNCTION|LOAD FUNCTION|RESTORE FUNCTION|STATS',
  ],
  ['has no debugger to switch on: test/proxy/scripts.test.ts', 'SCRIPT|DEBUG'],
]

/** Rows that no random request asks for: why, and what tests them instead. */
const notCompared: Readonly<Record<string, string>> = {
  ...Object.fromEntries(rows.filter(({ row }) => row.since === '7.4.0').map(({ name }) => [name, since74])),
  ...Object.fromEntries(reasons.flatMap(([reason, names]) => names.split(' ').map((name) => [name, reason]))),
  'CRDT|DIGEST': 'ours alone: test/commands/crdt.test.ts',
  'CRDT|HELP': 'ours alone: test/proxy/introspection.test.ts',
  'CRDT|SLOT': 'ours alone: test/commands/crdt.test.ts',
  'CRDT.INFO': 'ours alone: test/shard/keyInfo.test.ts',
  'CRDT.WAIT': 'ours alone: test/proxy/clusterWait.test.ts',
  MULTI: 'part of each random transaction (`randomTransaction` of test/compat/generator.ts)',
}

function covering(name: string): string | undefined {
  if (makes[name] !== undefined || sessionRequests[name] !== undefined) return 'a generator'
  return notCompared[name]
}

describe('each row of the table', () => {
  it('has who runs it', () => {
    const without = rows.filter(
      (spec) =>
        handlers[spec.name] === undefined &&
        !localCommands.has(spec) &&
        spec.request !== 'transaction' &&
        spec.request !== 'waited',
    )
    expect(without.map(({ name }) => name)).toEqual([])
    const idle = Object.keys(handlers).filter((name) => {
      const spec = commandNamed(name)
      return spec === undefined || !runByShard(spec.request)
    })
    expect(idle).toEqual([])
  })

  it('is compared with redis-server, or it is said why not', () => {
    expect(rows.map(({ name }) => name).filter((name) => covering(name) === undefined)).toEqual([])
    const superfluous = Object.keys(notCompared).filter(
      (name) => makes[name] !== undefined || !commandNamed(name),
    )
    expect(superfluous).toEqual([])
  })

  it('is asked for by the test that is named in the place of the comparison', () => {
    const missing = Object.entries(notCompared).filter(([name, reason]) => {
      const [path = ''] = /test\/\S+\.ts/.exec(reason) ?? []
      return !readFileSync(join(root, path), 'utf8')
        .toUpperCase()
        .includes(name.split('|').at(-1) ?? '')
    })
    expect(missing).toEqual([])
  })

  it('has its section in the documentation', () => {
    const pages = [...generatedFiles()].filter(([path]) => path.startsWith('docs/commands/'))
    const headings = new Set(
      pages.flatMap(([, text]) => [...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title)),
    )
    expect(rows.map(({ name }) => name.replace('|', ' ')).filter((name) => !headings.has(name))).toEqual([])
  })
})

describe('the compatibility report', () => {
  it('knows every command of redis-server 7.0, and what came with 7.2 and 7.4', async () => {
    const docs = (await redis.server?.request('COMMAND', 'DOCS')) as ParsedReply[]
    const theirs = namesIn(docs)
    expect(
      redisCommands
        .filter(({ since }) => since === '7.0')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(theirs.sort())
    const named = new Set(redisCommands.map(({ name }) => name))
    const unknown = rows.filter((spec) => spec.group !== 'crdt' && !spec.isContainer && !named.has(spec.name))
    expect(unknown.map(({ name }) => name)).toEqual([])
  })

  it('puts them in the groups of the table', () => {
    const elsewhere = redisCommands.filter(
      ({ name, group }) => (commandNamed(name)?.group ?? group) !== group,
    )
    expect(elsewhere).toEqual([])
  })

  it('says of each that is missing why', () => {
    const missing = redisCommands.filter(({ name }) => commandNamed(name) === undefined)
    expect(missing.filter(({ name }) => whyRefused(name) === undefined)).toEqual([])
    const groups = new Set(redisCommands.map(({ group }) => group))
    const used = new Set(missing.flatMap(({ name }) => [name, name.split('|')[0]]))
    expect(refusedNames.filter((of) => !groups.has(of) && !used.has(of))).toEqual([])
  })

  it('counts right', () => {
    const [, all, here, missing] = /Of the (\d+) commands.* (\d+) are here, .*; (\d+) are missing/.exec(
      compatibilityPage(),
    ) as RegExpExecArray
    expect(Number(all)).toBe(redisCommands.length)
    expect(Number(here) + Number(missing)).toBe(redisCommands.length)
    expect(Number(here)).toBe(redisCommands.filter(({ name }) => commandNamed(name) !== undefined).length)
  })
})

/** Of a reply to COMMAND DOCS: subcommands in place of their containers. */
function namesIn(docs: readonly ParsedReply[]): string[] {
  const names: string[] = []
  for (let i = 0; i < docs.length; i += 2) {
    const facts = docs[i + 1] as ParsedReply[]
    const at = facts.indexOf('subcommands')
    if (at < 0) names.push(String(docs[i]).toUpperCase())
    else names.push(...namesIn(facts[at + 1] as ParsedReply[]))
  }
  return names
}
