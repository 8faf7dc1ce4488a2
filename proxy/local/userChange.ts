/** Commands that change users. */
import { changedUser } from '#protocol/acl/rules.ts'
import type { UserPlan } from '#proxy/acl/userChanges.ts'
import type { PlanChange } from '#proxy/keptChanges.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import type { LocalCall } from './call.ts'
import { type Deferred, type Question, replying } from './question.ts'

/** `next`: when the change is in force. What the client sends meanwhile waits, as it may depend on it. */
export function changingUsers(
  { host, session }: LocalCall,
  plan: PlanChange<UserPlan>,
  next: () => Question,
): Deferred {
  session.waitForReplies()
  return {
    begin: (done) => {
      host.userChanges.change(
        () => {
          // Whose end the change is, is told so before.
          host.users.asker = session
          return plan()
        },
        (error) => {
          host.users.asker = null
          done(error === null ? next() : replying((_, reply) => reply.error(error)))
        },
      )
    },
  }
}

/** As `ACL SETUSER` does it. */
export const settingUser =
  ({ users }: SessionHost, name: string, rules: readonly string[]): PlanChange<UserPlan> =>
  () => {
    const user = changedUser(name, users.find(name), rules, users.defaults)
    return typeof user === 'string' ? user : { put: { [name]: user.rules }, remove: [], replacesAll: false }
  }
