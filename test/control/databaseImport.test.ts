import { describe, expect, it } from 'vitest'
import type { DatabaseSettings } from '#config/schema.ts'
import { completeDatabase, differences, importRefusal } from '#control/store/databaseImport.ts'

const inFile: DatabaseSettings = {
  name: 'db1',
  port: 12_000,
  shards: 2,
  sharding: true,
  persistence: 'everysec',
  memorySize: 0,
  evictionPolicy: 'noeviction',
  evictionSamples: 5,
  password: null,
  guid: null,
  crdtXaddIdUniquenessMode: 'strict',
  causalConsistency: false,
  members: [],
}
const complete = (database: DatabaseSettings) =>
  completeDatabase(database, 'here', '127.0.0.1', () => 'made up')
const members = [
  { id: 1, name: 'here', host: 'h', port: 12_000 },
  { id: 2, name: 'there', host: 'h', port: 12_002 },
]

describe('a database that is imported', () => {
  it('gets a guid and this cluster as its member where the file names none', () => {
    expect(complete(inFile)).toEqual({
      ...inFile,
      guid: 'made up',
      members: [{ id: 1, name: 'here', host: '127.0.0.1', port: 12_000 }],
    })
    expect(complete({ ...inFile, guid: 'given', members })).toEqual({ ...inFile, guid: 'given', members })
  })
})

describe('the file and the store', () => {
  const stored = [complete(inFile)]

  it('agree when nothing has changed', () => {
    expect(differences(stored, [inFile])).toEqual([])
  })

  it('differ in what is told, without secrets', () => {
    expect(differences(stored, [{ ...inFile, port: 13_000, password: 'secret' }])).toEqual([
      { database: 'db1', setting: 'port', inForce: '12000', inFile: '13000' },
      { database: 'db1', setting: 'password' },
    ])
    expect(differences(stored, [{ ...inFile, members }])).toMatchObject([{ setting: 'members' }])
    expect(differences([complete({ ...inFile, members })], [inFile])).toMatchObject([{ setting: 'members' }])
    expect(differences(stored, [{ ...inFile, name: 'db2' }])).toEqual([
      { database: 'db2', setting: 'name', inForce: 'no such database', inFile: 'a database' },
      { database: 'db1', setting: 'name', inForce: 'a database', inFile: 'no such database' },
    ])
  })
})

describe('an import over what is there', () => {
  const stored = [complete({ ...inFile, guid: 'given', members })]

  it('may change what the data does not depend on', () => {
    const changed = { ...inFile, guid: 'given', members, port: 13_000, password: 'new' }
    expect(importRefusal(stored, [complete(changed), complete({ ...inFile, name: 'db2' })], 'here')).toBe(
      null,
    )
  })

  it.each([
    [{ guid: 'other' }, 'guid of database db1 is given and can'],
    [{ shards: 3 }, 'shards of database db1 is 2 and can'],
    [
      { members: members.map((member) => ({ ...member, id: 9 - member.id })) },
      'the id of here in database db1 is 1 and can',
    ],
  ])('refuses %j', (change, refusal) => {
    const changed = complete({ ...inFile, guid: 'given', members, ...change })
    expect(importRefusal(stored, [changed], 'here')).toContain(refusal)
  })
})
