import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileTemplate, stampTemplate } from '#bench/generator/template.ts'
import { latin1 } from '#runtime/bytes/bytes.ts'

/** What the template stands for, the slow way. */
function encode(args: readonly string[], number: number): string {
  const texts = args.map((arg) => arg.replaceAll('{n}', String(number).padStart(12, '0')))
  return `*${texts.length}\r\n${texts.map((text) => `$${text.length}\r\n${text}\r\n`).join('')}`
}

describe('a request template', () => {
  const piece = fc.constantFrom('', 'key:', '{n}', 'x'.repeat(40), '{n', 'ä')
  const args = fc.array(
    fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join('')),
    {
      minLength: 1,
      maxLength: 5,
    },
  )

  it('has the key’s number in all its places', () => {
    fc.assert(
      fc.property(args, fc.nat(), fc.nat(20), (list, number, at) => {
        const template = compileTemplate(list)
        const target = new Uint8Array(at + template.bytes.length)
        const end = stampTemplate(template, target, at, number)
        expect(end).toBe(target.length)
        expect(latin1(target, at, end)).toBe(encode(list, number))
      }),
    )
  })

  it('is stamped again with a shorter number', () => {
    const template = compileTemplate(['GET', 'key:{n}'])
    stampTemplate(template, template.bytes, 0, 987_654_321)
    stampTemplate(template, template.bytes, 0, 7)
    expect(latin1(template.bytes, 0, template.bytes.length)).toBe(encode(['GET', 'key:{n}'], 7))
  })
})
