/** What makes a database usable again whatever hostile clients have set for all. */
import type { Request } from '#test/compat/side.ts'

export const judgeName = 'judge'

export const restoringRequests = (pipelineMax: number, memorySizeBytes: number): Request[] => [
  ['CLIENT', 'UNPAUSE'],
  ['ACL', 'SETUSER', 'default', 'reset', 'on', 'nopass', 'allkeys', 'allchannels', 'allcommands'],
  // biome-ignore format: a rule beside the other
  ['ACL', 'SETUSER', 'limited', 'reset', 'on', '>pass', '~{t}s*', '%R~{t}l*', '&a*', '+@all', '-@dangerous', '(+@read ~*)'],
  ['ACL', 'SETUSER', 'reader', 'reset', 'on', '>pass', '~*', '+@read', '+eval', '+@connection'],
  ['CONFIG', 'SET', 'maxclients', '1000', 'timeout', '0'],
  ['CONFIG', 'SET', 'pipeline-max', String(pipelineMax), 'maxmemory', String(memorySizeBytes)],
]
