/** CLIENT TRACKING and its kin. */
import type { WorkerAnswer } from '#protocol/frames/worker.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import { DistantRedirection, redirectionHere } from '#proxy/redirection.ts'
import { noAnswer } from '#proxy/routing/question.ts'
import type { TrackingMode, TrackingOptions } from '#proxy/session/tracking.ts'
import type { Redirection } from '#proxy/tracking.ts'
import { parseInteger64 } from '#runtime/integer64.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { type Deferred, type Question, replying } from './question.ts'

interface Given {
  redirectId: number | null
  words: Set<string>
  prefixes: string[]
  /** What is wrong behind a client that is to be told, which is looked for first. */
  error: string | null
}

/** Of what is wrong the first counts, as in Redis: it looks for the other client as soon as it has read of it. */
function givenOptions({ args }: LocalCall): Given {
  const given: Given = { redirectId: null, words: new Set(), prefixes: [], error: null }
  const fail = (error: string): Given => {
    if (given.redirectId === null) throw new ReplyError(error)
    return { ...given, error }
  }
  for (let i = 3; i < args.argumentCount; i++) {
    const word = args.text(i).toUpperCase()
    const hasMore = i + 1 < args.argumentCount
    if (word === 'REDIRECT' && hasMore) {
      if (given.redirectId !== null) return fail(errors.redirectedTwice)
      const id = parseInteger64(args.text(++i))
      if (id === null) throw new ReplyError(errors.notInteger)
      given.redirectId = Number(id)
    } else if (word === 'PREFIX' && hasMore) given.prefixes.push(args.text(++i))
    else if (trackingWords.has(word)) given.words.add(word)
    else return fail(errors.syntax)
  }
  return given
}

const trackingWords: ReadonlySet<string> = new Set(['BCAST', 'OPTIN', 'OPTOUT', 'NOLOOP'])

/** Throws when they don't go together, or with what the client has. */
function checkedOptions(
  { session }: LocalCall,
  { words, prefixes }: Given,
): Omit<TrackingOptions, 'redirection'> {
  const { tracking } = session
  const isBroadcast = words.has('BCAST')
  const [optIn, optOut] = [words.has('OPTIN'), words.has('OPTOUT')]
  if (!isBroadcast && prefixes.length > 0) throw new ReplyError(errors.prefixWithoutBroadcast)
  if (tracking.isOn && isBroadcast !== (tracking.mode === 'broadcast'))
    throw new ReplyError(errors.broadcastSwitched)
  if (isBroadcast && (optIn || optOut)) throw new ReplyError(errors.optInWithBroadcast)
  if (optIn && optOut) throw new ReplyError(errors.optInAndOut)
  if ((optIn && tracking.mode === 'optOut') || (optOut && tracking.mode === 'optIn'))
    throw new ReplyError(errors.optInSwitched)
  const mode: TrackingMode = isBroadcast ? 'broadcast' : optIn ? 'optIn' : optOut ? 'optOut' : 'usual'
  if (isBroadcast) checkPrefixes(prefixes, tracking.prefixes)
  const own = isBroadcast && prefixes.length === 0 ? [''] : prefixes
  return { mode, noLoop: words.has('NOLOOP'), prefixes: own }
}

const overlap = (one: string, other: string): boolean => one.startsWith(other) || other.startsWith(one)

function checkPrefixes(prefixes: readonly string[], existing: readonly string[]): void {
  for (const [i, prefix] of prefixes.entries()) {
    const old = existing.find((other) => overlap(prefix, other))
    if (old !== undefined) throw new ReplyError(errors.prefixOverlaps(prefix, 'an existing prefix', old))
    const other = prefixes.slice(i + 1).find((another) => overlap(prefix, another))
    if (other !== undefined)
      throw new ReplyError(errors.prefixOverlaps(prefix, 'another provided prefix', other))
  }
}

/** From then on the client is told; null: at once, else when every shard knows of its prefixes. */
function start(call: LocalCall, given: Given, redirection: Redirection | null): Question {
  const { session, host } = call
  if (given.error !== null) throw new ReplyError(given.error)
  const ok: Question = replying((_, reply) => reply.ok())
  if (!switchOf(call)) {
    session.tracking.stop()
    return ok
  }
  const options = checkedOptions(call, given)
  if (session.isClosing) return ok
  session.tracking.start({ ...options, redirection })
  if (options.mode !== 'broadcast') return ok
  session.waitForReplies()
  const prefixes = options.prefixes.map((prefix) => ({ prefix, isWanted: true }))
  return {
    askShards: { what: 'tracking', prefixes, gone: [] },
    answer: ({ shards }, reply) => {
      // Who is not there is told when it is; who is busy was not told.
      const { all } = host.links
      const unasked = shards.find(
        ({ shard, value }) => value === undefined && all.find(({ index }) => index === shard)?.isUp,
      )
      if (unasked === undefined) {
        reply.ok()
        return
      }
      session.tracking.stop()
      throw new ReplyError(noAnswer(unasked.shard))
    },
  }
}

function switchOf({ args }: LocalCall): boolean {
  const value = args.text(2).toUpperCase()
  if (value !== 'ON' && value !== 'OFF') throw new ReplyError(errors.syntax)
  return value === 'ON'
}

/** As a question that ends in an error. */
function startLater(call: LocalCall, given: Given, redirection: Redirection | null): Question {
  try {
    return start(call, given, redirection)
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error
    const { text } = error
    return replying((_, reply) => reply.error(text))
  }
}

/** Who is to be told may be a client of another worker. */
const TRACKING: LocalCommand = (call) => {
  const { session, host } = call
  const given = givenOptions(call)
  const { redirectId } = given
  if (redirectId === null) return start(call, given, null)
  if (host.clients.get(redirectId) !== undefined)
    return start(call, given, redirectionHere(host.clients, redirectId))
  if (host.siblings.count === 0) throw new ReplyError(errors.noRedirectClient)
  session.waitForReplies()
  const { siblings } = host
  return {
    begin: (done) =>
      siblings.ask({ what: 'clients', choice: { ids: [redirectId] } }, (answers) => {
        const holder = answers.find(
          ({ value }) => ((value as WorkerAnswer<'clients'> | null)?.clients.length ?? 0) > 0,
        )
        if (holder === undefined) done(replying((_, reply) => reply.error(errors.noRedirectClient)))
        else done(startLater(call, given, new DistantRedirection(siblings, holder.worker, redirectId)))
      }),
  } satisfies Deferred
}

const CACHING: LocalCommand = ({ args, reply, session }) => {
  const { tracking } = session
  if (!tracking.isOn) throw new ReplyError(errors.cachingWithoutTracking)
  const word = args.text(2).toUpperCase()
  if (word === 'YES') {
    if (tracking.mode !== 'optIn') throw new ReplyError(errors.cachingYes)
  } else if (word === 'NO') {
    if (tracking.mode !== 'optOut') throw new ReplyError(errors.cachingNo)
  } else throw new ReplyError(errors.syntax)
  tracking.except()
  reply.ok()
  return null
}

/** -1: it does not track; 0: it is told itself. */
const GETREDIR: LocalCommand = ({ reply, session }) => {
  reply.integer(session.tracking.isOn ? (session.tracking.redirection?.id ?? 0) : -1)
  return null
}

const TRACKINGINFO: LocalCommand = ({ reply, session }) => {
  const { tracking } = session
  const { isOn, mode, isExceptional } = tracking
  const flags = [isOn ? 'on' : 'off']
  if (mode === 'broadcast') flags.push('bcast')
  if (mode === 'optIn') flags.push('optin', ...(isExceptional ? ['caching-yes'] : []))
  if (mode === 'optOut') flags.push('optout', ...(isExceptional ? ['caching-no'] : []))
  if (tracking.noLoop) flags.push('noloop')
  if (tracking.isBroken) flags.push('broken_redirect')
  reply.map(3)
  reply.bulk('flags')
  reply.set(flags.length)
  for (const flag of flags) reply.bulk(flag)
  reply.bulk('redirect')
  reply.integer(isOn ? (tracking.redirection?.id ?? 0) : -1)
  reply.bulk('prefixes')
  reply.bulks(tracking.prefixes)
  return null
}

export const trackingCommands = {
  'CLIENT|CACHING': CACHING,
  'CLIENT|GETREDIR': GETREDIR,
  'CLIENT|TRACKING': TRACKING,
  'CLIENT|TRACKINGINFO': TRACKINGINFO,
}
