/** The grammar of a command's arguments as one line, in the manner of Redis's manual: `SET key value [NX | XX] ...`. */
import type { CommandSpec } from '#protocol/commands/index.ts'
import type { ArgumentSpec } from '#protocol/commands/table.ts'

export function syntaxOf(spec: CommandSpec): string {
  return [spec.name.replace('|', ' '), ...spec.row.args.map(argumentSyntax)].join(' ')
}

function argumentSyntax(argument: ArgumentSpec): string {
  const flags = argument.flags ?? []
  const isOptional = flags.includes('optional')
  const repeated = repeat(argument, isOptional)
  return isOptional ? `[${repeated}]` : repeated
}

function repeat(argument: ArgumentSpec, isBracketed: boolean): string {
  const flags = argument.flags ?? []
  if (!flags.includes('multiple')) return withToken(argument, core(argument, isBracketed))
  const one = core(argument, false)
  if (flags.includes('multiple_token')) return `${withToken(argument, one)} [${withToken(argument, one)} ...]`
  return withToken(argument, `${one} [${one} ...]`)
}

function withToken({ token, type }: ArgumentSpec, syntax: string): string {
  return token === undefined || type === 'pure-token' ? syntax : `${token} ${syntax}`
}

/** A choice needs brackets of its own unless those of the option are there. */
function core(argument: ArgumentSpec, isBracketed: boolean): string {
  const parts = (argument.arguments ?? []).map(argumentSyntax)
  if (argument.type === 'pure-token') return argument.token ?? argument.name
  if (argument.type === 'block') return parts.join(' ')
  if (argument.type !== 'oneof') return argument.name
  return isBracketed && argument.token === undefined ? parts.join(' | ') : `<${parts.join(' | ')}>`
}
