/** ACL DRYRUN: what a user would be told of a request that is quoted in another one. */
import { commandIn, QuotedRequest, type RequestView } from '#protocol/commands/request.ts'
import { cString } from '#protocol/resp/cString.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { User } from './user.ts'
import { denialOf } from './verdict.ts'

/** `OK`, or why not; throws a `ReplyError` when there is no such request. */
export function dryRun(user: User, outer: RequestView, first: number): string {
  const request = new QuotedRequest(outer, first)
  const spec = commandIn(request)
  if (spec === undefined) throw new ReplyError(`ERR Command '${cString(request.text(0))}' not found`)
  if (!spec.accepts(request.argumentCount)) throw new ReplyError(errors.wrongArity(spec.lowerName))
  const denial = denialOf(user, spec, request)
  if (denial === null) return 'OK'
  if (denial.reason === 'command')
    return `This user has no permissions to run the '${spec.lowerName}' command`
  return `This user has no permissions to access the '${cString(request.text(denial.at))}' ${denial.reason}`
}
