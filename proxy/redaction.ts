/** What nobody else is to see of a request: passwords, and rules of users. */
import type { CommandSpec } from '#protocol/commands/index.ts'
import type { RequestView } from '#protocol/commands/request.ts'

const redacted = '(redacted)'
const none: ReadonlySet<number> = new Set()

function from(first: number, { argumentCount }: RequestView): ReadonlySet<number> {
  return new Set(Array.from({ length: Math.max(0, argumentCount - first) }, (_, i) => first + i))
}

/** Indices of the arguments that are left out, as in Redis. */
function secretsOf(spec: CommandSpec, request: RequestView): ReadonlySet<number> {
  switch (spec.name) {
    case 'AUTH':
      return from(1, request)
    case 'ACL|SETUSER':
    case 'ACL|DELUSER':
    case 'ACL|GETUSER':
      return from(2, request)
    case 'HELLO':
      return behind(request, 2, 1, ['AUTH'], 2)
    case 'CONFIG|SET':
      return behind(request, 2, 2, ['REQUIREPASS'], 1)
    default:
      return none
  }
}

/** The arguments behind each that is one of `words`. */
function behind(
  request: RequestView,
  first: number,
  step: number,
  words: readonly string[],
  count: number,
): ReadonlySet<number> {
  const secrets = new Set<number>()
  for (let i = first; i < request.argumentCount; i += step) {
    if (!words.includes(request.text(i).toUpperCase())) continue
    for (let j = 1; j <= count; j++) secrets.add(i + j)
  }
  return secrets
}

/** The request without its secrets. */
export function redactedRequest(spec: CommandSpec, request: RequestView): RequestView {
  const secrets = secretsOf(spec, request)
  if (secrets.size === 0) return request
  const isSecret = (i: number): boolean => secrets.has(i) && i < request.argumentCount
  return {
    argumentCount: request.argumentCount,
    bytes: request.bytes,
    start: (i) => (isSecret(i) ? 0 : request.start(i)),
    endOf: (i) => (isSecret(i) ? redacted.length : request.endOf(i)),
    text: (i) => (isSecret(i) ? redacted : request.text(i)),
  }
}
