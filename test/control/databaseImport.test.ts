import { describe, expect, it } from 'vitest'
import { noLibraries } from '#config/libraries.ts'
import type { DatabaseSettings } from '#config/schema.ts'
import { noUsers } from '#config/users.ts'
import {
  completeDatabase,
  differences,
  importRefusal,
  keepingLists,
  keepingMembers,
} from '#control/store/databaseImport.ts'

import { inFile } from './fileDatabase.ts'

const complete = (database: DatabaseSettings) =>
  completeDatabase(database, 'here', '127.0.0.1', () => 'made up')
const members = [
  { id: 1, name: 'here', host: 'h', port: 12_000 },
  { id: 2, name: 'there', host: 'h', port: 12_002 },
]

describe('a database that is imported', () => {
  it('gets a guid and this cluster as its member where the file names none', () => {
    const { joins: _, ...settings } = inFile
    const first = { state: 'active', forced: false, stampFloor: 0 }
    expect(complete(inFile)).toEqual({
      ...settings,
      epoch: 1,
      promised: null,
      users: noUsers,
      libraries: noLibraries,
      guid: 'made up',
      members: [{ id: 1, name: 'here', host: '127.0.0.1', port: 12_000, instance: 'made up/1', ...first }],
    })
    expect(complete({ ...inFile, guid: 'given', members })).toEqual({
      ...settings,
      epoch: 1,
      promised: null,
      users: noUsers,
      libraries: noLibraries,
      guid: 'given',
      members: members.map((member) => ({ ...member, instance: `given/${member.id}`, ...first })),
    })
  })

  it('keeps the users that are there, but for the default one when the file has another password', () => {
    const before = complete(inFile)
    const users = {
      version: 3,
      users: { default: { rules: ['off'], since: 1 }, alice: { rules: ['on'], since: 2 } },
    }
    const stored = [{ ...before, users }]
    expect(keepingLists(before, stored).users).toEqual(users)
    expect(keepingLists({ ...before, password: 'another' }, stored).users).toEqual({
      version: 4,
      users: { alice: { rules: ['on'], since: 2 } },
    })
    expect(keepingLists({ ...before, guid: 'another' }, stored).users).toEqual(noUsers)
  })

  it('knows nothing of the others when it joins one that is there', () => {
    const { epoch, members: states } = complete({ ...inFile, guid: 'given', members, joins: true })
    expect([epoch, ...states.map(({ state }) => state)]).toEqual([0, 'joining', 'active'])
  })

  it('keeps the members that have been agreed on since, but for their addresses', () => {
    const before = complete({ ...inFile, guid: 'given', members })
    const agreed = {
      ...before,
      epoch: 4,
      members: before.members.map((one) => ({ ...one, instance: 'new' })),
    }
    const moved = members.map((member) => ({ ...member, host: 'elsewhere' }))
    const again = keepingMembers(complete({ ...inFile, guid: 'given', members: moved }), [agreed])
    expect(again).toEqual({
      ...agreed,
      members: agreed.members.map((member) => ({ ...member, host: 'elsewhere' })),
    })
    expect(keepingMembers(before, [])).toEqual(before)
    const joining = complete({ ...inFile, guid: 'given', members, joins: true })
    expect(keepingMembers(complete({ ...inFile, guid: 'given', members }), [joining]).members).toEqual(
      joining.members,
    )
  })

  it('is refused where this cluster was removed, unless it joins', () => {
    const back = complete({ ...inFile, guid: 'given', members })
    expect(importRefusal([], [back], 'here', ['given'])).toMatch('joins = true')
    const joining = complete({ ...inFile, guid: 'given', members, joins: true })
    expect(importRefusal([], [joining], 'here', ['given'])).toBeNull()
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
