import { describe, expect, it } from 'vitest'
import { parseOptions } from '#protocol/commands/options.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'

const grammar = { NX: 0, XX: 0, EX: 1, LIMIT: 2 }

function parse(...args: string[]) {
  const is = (index: number, word: string): boolean => args[index]?.toUpperCase() === word
  return parseOptions({ count: args.length, is }, 1, grammar, [['NX', 'XX']])
}

function refusal(...args: string[]): string {
  try {
    parse(...args)
  } catch (error) {
    if (error instanceof ReplyError) return error.text
    throw error
  }
  return ''
}

describe('parseOptions', () => {
  it('tells where the arguments of each word are', () => {
    expect(parse('key')).toEqual({ NX: 0, XX: 0, EX: 0, LIMIT: 0 })
    expect(parse('key', 'limit', '1', '2', 'Ex', '5', 'nx')).toEqual({ NX: 6, XX: 0, EX: 5, LIMIT: 2 })
  })

  it('takes the last of a word said twice, and a word as argument of another', () => {
    expect(parse('key', 'EX', '1', 'EX', '2').EX).toBe(4)
    expect(parse('key', 'EX', 'NX')).toEqual({ NX: 0, XX: 0, EX: 2, LIMIT: 0 })
  })

  it.each([
    ['an unknown word', ['key', 'PX', '5']],
    ['a missing argument', ['key', 'EX']],
    ['a missing second argument', ['key', 'LIMIT', '1']],
    ['two that exclude each other', ['key', 'NX', 'XX']],
    ['an empty word', ['key', '']],
  ])('refuses %s', (_, args) => {
    expect(refusal(...args)).toBe(errors.syntax)
  })
})
