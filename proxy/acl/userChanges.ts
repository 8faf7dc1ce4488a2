/** Changes of the users, which are in force when all workers know them. */
import type { UserChange } from '#config/users.ts'
import type { KeptList } from '#proxy/keptChanges.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import { unconfirmed } from '#proxy/siblings/unconfirmed.ts'

export type UserPlan = Omit<UserChange, 'version'>

export const userList = (host: SessionHost): KeptList<UserPlan> => ({
  name: 'users',
  version: () => host.users.version,
  limitError: (plan) => {
    const { users, limits } = host
    const sizeBytes = JSON.stringify([users.list().map(({ rules }) => rules), plan]).length
    if (sizeBytes <= limits.usersBytesMax) return null
    return `ERR users have at most ${limits.usersBytesMax} bytes of rules together (users_bytes_max)`
  },
  question: (version, plan) => ({ what: 'change', change: { version, ...plan } }),
  ask: (question, answered) => host.askKeeper(question, answered),
  confirm: (version, done) =>
    host.siblings.confirm('users', version, (answers) => done(unconfirmed(answers))),
})
