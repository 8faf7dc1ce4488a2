import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { commandNamed, commands, lookup } from '#protocol/commands/index.ts'
import { NameTable } from '#protocol/commands/nameTable.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'

function find(name: string) {
  const framed = bytesOf(`$3\r\n${name}\r\nGET`)
  return lookup(framed, 4, 4 + name.length)
}

/** Bit i of `mask` makes letter i small. */
function mixCase(name: string, mask: number): string {
  return [...name].map((letter, i) => ((mask >> (i % 31)) & 1 ? letter.toLowerCase() : letter)).join('')
}

describe('lookup', () => {
  it('finds every command in any letter case', () => {
    fc.assert(
      fc.property(fc.constantFrom(...commands.values()), fc.nat(), (spec, mask) => {
        expect(find(mixCase(spec.name, mask))).toBe(spec)
      }),
      { numRuns: 2000 },
    )
  })

  it('finds nothing else', () => {
    const close = fc
      .tuple(fc.constantFrom(...commands.keys()), fc.nat(20), fc.nat(255))
      .map(([name, at, byte]) => name.slice(0, at) + String.fromCharCode(byte) + name.slice(at + 1))
    const any = fc.uint8Array({ maxLength: 40 }).map((bytes) => String.fromCharCode(...bytes))
    fc.assert(
      fc.property(fc.oneof(close, any), (name) => {
        // Only a to z have two cases here: `toUpperCase` knows of letters beyond ASCII.
        const upper = name.replace(/[a-z]/g, (letter) => letter.toUpperCase())
        expect(find(name)).toBe(commands.get(upper))
      }),
      { numRuns: 5000 },
    )
  })

  it('takes no notice of bytes that differ from a letter in one bit only', () => {
    expect(find('G\x05T')).toBeUndefined()
    expect(find('\xe7et')).toBeUndefined()
    expect(find('')).toBeUndefined()
  })

  it('finds subcommands', () => {
    const object = commands.get('OBJECT')
    expect(object?.subcommand(bytesOf('enCoding'), 0, 8)?.name).toBe('OBJECT|ENCODING')
    expect(object?.subcommand(bytesOf('nonsense'), 0, 8)).toBeUndefined()
    expect(commands.get('GET')?.subcommand(bytesOf('HELP'), 0, 4)).toBeUndefined()
  })
})

describe('commandNamed', () => {
  it('takes the names that COMMAND INFO takes', () => {
    expect(commandNamed('get')?.name).toBe('GET')
    expect(commandNamed('object|Freq')?.name).toBe('OBJECT|FREQ')
    expect(commandNamed('object|')).toBeUndefined()
    expect(commandNamed('get|x')).toBeUndefined()
    expect(commandNamed('')).toBeUndefined()
  })
})

describe('NameTable', () => {
  it('keeps names apart that fall on one place', () => {
    const names = Array.from({ length: 500 }, (_, i) => `N${i}`)
    const table = new NameTable(names.map((name) => [name, name]))
    for (const name of names) expect(table.find(bytesOf(name), 0, name.length)).toBe(name)
    expect(table.find(bytesOf('N500'), 0, 4)).toBeUndefined()
  })

  it('may be empty', () => {
    expect(new NameTable([]).find(bytesOf('GET'), 0, 3)).toBeUndefined()
    expect(new NameTable([]).find(bytesOf(''), 0, 0)).toBeUndefined()
  })
})
