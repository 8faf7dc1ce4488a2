/** What is asked of clusters at the end, when everything is mended: that they agree, and that nothing is left of what is deleted. */
import { certain, type LawSession, texts } from './laws/law.ts'

const lookMs = 100
const keysPerDelete = 200

/** Resolves when all clusters hold the same, hidden metadata and version vectors included; the ms that it took. */
export async function settled(sessions: readonly LawSession[], withinMs: number): Promise<number> {
  const startMs = performance.now()
  for (;;) {
    const answers = await Promise.all(sessions.map((session) => session.ask('CRDT', 'DIGEST')))
    const [first, ...rest] = answers.map(({ outcome, reply }) => (outcome === 'done' ? String(reply) : null))
    if (first !== null && rest.every((digest) => digest === first)) return performance.now() - startMs
    if (performance.now() - startMs > withinMs) {
      const said = answers.map(({ reply }, i) => `cluster ${sessions[i]?.life.cluster}: ${reply}`)
      throw new Error(`the clusters still differ after ${withinMs} ms; ${said.join('; ')}`)
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
}

/** I1: every key, compared as a client sees it. Differences in words. */
export async function differences(sessions: readonly LawSession[]): Promise<string[]> {
  const [first, ...rest] = await Promise.all(sessions.map(contents))
  const found: string[] = []
  for (const [i, other] of rest.entries()) {
    const cluster = sessions[i + 1]?.life.cluster
    for (const key of new Set([...(first?.keys() ?? []), ...other.keys()])) {
      const [here, there] = [first?.get(key), other.get(key)]
      if (here !== there)
        found.push(`${key}: ${here} at cluster ${sessions[0]?.life.cluster}, ${there} at ${cluster}`)
    }
  }
  return found
}

/** I14: what is left when all keys have been deleted and everybody knows; in words. */
export async function leftovers(sessions: readonly LawSession[], withinMs: number): Promise<string[]> {
  const [first] = sessions
  if (first === undefined) return []
  const keys = await allKeys(first)
  for (let i = 0; i < keys.length; i += keysPerDelete) {
    // A key each, as they lie in different slots.
    for (const key of keys.slice(i, i + keysPerDelete)) await certain(first, 'DEL', key)
  }
  await settled(sessions, withinMs)
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    const left: string[] = []
    for (const session of sessions) {
      const size = Number(await certain(session, 'DBSIZE'))
      if (size > 0) left.push(`cluster ${session.life.cluster} still has ${size} keys`)
      const residues = figure(String(await certain(session, 'INFO', 'crdt')), 'crdt_gc_pending')
      if (residues !== 0) left.push(`cluster ${session.life.cluster} still has ${residues} residues`)
    }
    if (left.length === 0 || performance.now() > deadlineMs) return left
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
}

/** How the clusters came by what they have, a line each. */
export async function syncsOf(sessions: readonly LawSession[]): Promise<string[]> {
  return await Promise.all(
    sessions.map(async (session) => {
      const info = String(await certain(session, 'INFO', 'crdt'))
      const lines = info.split('\r\n').filter((line) => /^crdt_sync_/.test(line))
      return `cluster ${session.life.cluster}: ${lines.join(' ')}`
    }),
  )
}

/** Of the keys that faults are about: what each cluster knows of them beside their values. */
export async function metadata(
  sessions: readonly LawSession[],
  faults: readonly string[],
): Promise<string[]> {
  const text = faults.join('\n')
  const keys = [...(await allKeys(sessions[0]))].filter((key) => text.includes(key))
  const found: string[] = []
  for (const key of keys) {
    for (const session of sessions) {
      const { reply } = await session.ask('CRDT.INFO', key)
      found.push(`cluster ${session.life.cluster}, CRDT.INFO ${key}: ${JSON.stringify(reply)}`)
    }
  }
  return found
}

const figure = (info: string, name: string): number =>
  Number(new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1])

async function allKeys(session: LawSession | undefined): Promise<string[]> {
  if (session === undefined) return []
  const keys = new Set<string>()
  let cursor = '0'
  do {
    const [next, some] = (await certain(session, 'SCAN', cursor, 'COUNT', '1000')) as [string, string[]]
    for (const key of some) keys.add(key)
    cursor = next
  } while (cursor !== '0')
  return [...keys]
}

async function contents(session: LawSession): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const key of await allKeys(session)) {
    const type = String(await certain(session, 'TYPE', key))
    const value = await valueAt(session, key, type)
    found.set(key, `${type} ${await certain(session, 'PEXPIRETIME', key)} ${JSON.stringify(value)}`)
  }
  return found
}

async function valueAt(session: LawSession, key: string, type: string): Promise<unknown> {
  switch (type) {
    case 'string': {
      const value = String(await certain(session, 'GET', key))
      // Two clusters may spell the same registers in different ways.
      return value.startsWith('HYLL') ? await certain(session, 'PFCOUNT', key) : value
    }
    case 'hash':
      return pairs(texts(await certain(session, 'HGETALL', key))).sort()
    case 'set':
      return texts(await certain(session, 'SMEMBERS', key)).sort()
    case 'zset':
      return await certain(session, 'ZRANGE', key, '0', '-1', 'WITHSCORES')
    case 'list':
      return await certain(session, 'LRANGE', key, '0', '-1')
    case 'stream':
      return await certain(session, 'XRANGE', key, '-', '+')
    default:
      // Deleted or expired meanwhile: PEXPIRETIME tells.
      return null
  }
}

const pairs = (flat: readonly string[]): string[] =>
  flat.flatMap((name, i) => (i % 2 === 0 ? [`${name}=${flat[i + 1]}`] : []))
