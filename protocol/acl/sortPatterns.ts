/** Patterns of SORT may lead to any key, so they are for those only who may read every one. */
import type { CommandSpec } from '#protocol/commands/index.ts'
import type { RequestView } from '#protocol/commands/request.ts'
import { errors } from '#protocol/resp/errors.ts'
import type { User } from './user.ts'
import { allowsEveryKey } from './verdict.ts'

const readsKeys = { reads: true, writes: false }

/** Why a request that is allowed otherwise is refused; null: it is not, or it is no SORT. */
export function sortRefusal(user: User, spec: CommandSpec, request: RequestView): string | null {
  if (spec.name !== 'SORT' && spec.name !== 'SORT_RO') return null
  const option = patternOption(request)
  if (option === null || allowsEveryKey(user, spec, request, readsKeys)) return null
  return errors.sortDenied(option)
}

/** The first option that names keys by a pattern. */
function patternOption(request: RequestView): 'BY' | 'GET' | null {
  for (let i = 2; i + 1 < request.argumentCount; i++) {
    switch (request.text(i).toUpperCase()) {
      case 'LIMIT':
        i += 2
        break
      case 'STORE':
        i++
        break
      case 'GET':
        return 'GET'
      case 'BY':
        if (request.text(++i).includes('*')) return 'BY'
    }
  }
  return null
}
