/** How lists of members change. */
import { describe, expect, it } from 'vitest'
import {
  changed,
  commandFor,
  freeId,
  type Member,
  type MemberChange,
  type MemberList,
  participants,
  readMemberChange,
  readMemberList,
} from '#control/plan/membership.ts'

const member = (id: number, more: Partial<Member> = {}): Member => ({
  id,
  name: `c${id}`,
  host: 'h',
  port: 12_000 + id,
  state: 'active',
  forced: false,
  instance: `i${id}`,
  stampFloor: 0,
  ...more,
})
const list = (...members: Member[]): MemberList => ({ epoch: 7, members })
const add = (id: number, name = `c${id}`): MemberChange => ({
  kind: 'add',
  id,
  name,
  host: 'h',
  port: 1,
  instance: 'new',
})
const states = (after: MemberList | string): unknown =>
  typeof after === 'string' ? after : after.members.map(({ id, state }) => `${id} ${state}`)

describe('a change', () => {
  const two = list(member(1), member(2))

  it.each<[string, MemberList, MemberChange, unknown]>([
    ['adds', two, add(3), ['1 active', '2 active', '3 joining']],
    ['keeps the order of ids', list(member(2)), add(1), ['1 joining', '2 active']],
    ['takes no id twice', two, add(2, 'other'), 'c2 has the id 2'],
    ['takes no cluster twice', two, add(3, 'c2'), 'c2 is a member already, with the id 2'],
    ['takes no other ids', two, add(9), 'the id 9: 1 to 8 are possible'],
    [
      'is one at a time',
      list(member(1), member(2, { state: 'joining' })),
      add(3),
      'another member is joining, or being removed; one at a time',
    ],
    [
      'makes a joiner full',
      list(member(1), member(2, { state: 'joining' })),
      { kind: 'activate', id: 2 },
      ['1 active', '2 active'],
    ],
    ['makes nobody full twice', two, { kind: 'activate', id: 2 }, 'c2 is active, not joining'],
    [
      'removes in two steps',
      two,
      { kind: 'remove', ids: [2], stampFloor: 1 },
      'c2 is active, not on its way out',
    ],
    ['leaves one', two, { kind: 'leave', ids: [1, 2], forced: true }, 'the last member can not be removed'],
    ['is of members', two, { kind: 'leave', ids: [5], forced: true }, 'there is no member with the id 5'],
    [
      'forces out who will not end',
      list(member(1), member(2, { state: 'removing' })),
      { kind: 'leave', ids: [2], forced: true },
      ['1 active', '2 removing'],
    ],
    [
      'does not take force back unasked',
      list(member(1), member(2, { state: 'removing', forced: true })),
      { kind: 'leave', ids: [2], forced: false },
      'c2 is being removed already',
    ],
    [
      'calls a removal off',
      list(member(1), member(2, { state: 'removing', forced: true })),
      { kind: 'stay', ids: [2] },
      ['1 active', '2 active'],
    ],
  ])('%s', (_, before, change, wanted) => {
    const after = changed(before, change)
    expect(states(after)).toEqual(wanted)
    if (typeof after !== 'string') expect(after.epoch).toBe(8)
  })

  it('gives an id away again with the stamps that it must not use', () => {
    const former = list(member(1), member(2, { state: 'removed', stampFloor: 500 }))
    const after = changed(former, add(2, 'other'))
    expect(after).toMatchObject({
      members: [{ id: 1 }, { id: 2, name: 'other', stampFloor: 500, instance: 'new' }],
    })
    const gone = changed(list(member(1), member(2, { state: 'removing', stampFloor: 500 })), {
      kind: 'remove',
      ids: [2],
      stampFloor: 400,
    })
    expect(gone).toMatchObject({ members: [{ id: 1 }, { id: 2, state: 'removed', stampFloor: 500 }] })
  })
})

it('ids of former members are given away last', () => {
  const former = member(1, { state: 'removed' })
  expect(freeId(list(former, member(2)))).toBe(3)
  const all = [2, 3, 4, 5, 6, 7, 8].map((id) => member(id))
  expect(freeId(list(former, ...all))).toBe(1)
  expect(freeId(list(member(1), ...all))).toBeNull()
})

it('those that are gone, or treated as such, are not asked', () => {
  const forced = member(3, { state: 'removing', forced: true })
  const all = list(member(1), member(2, { state: 'joining' }), forced, member(4, { state: 'removed' }))
  expect(participants(all).map(({ id }) => id)).toEqual([1, 2])
})

describe('of a peer', () => {
  it('a list is taken as it is, or not at all', () => {
    const good = list(member(1), member(2))
    expect(readMemberList(good)).toEqual(good)
    for (const more of [
      { id: 9 },
      { port: -1 },
      { state: 'dead' },
      { forced: 1 },
      { instance: 5 },
      { stampFloor: 0.5 },
    ])
      expect(readMemberList(list({ ...member(1), ...more } as Member)), JSON.stringify(more)).toBeNull()
    for (const bad of [
      null,
      5,
      {},
      { ...good, epoch: -1 },
      list(member(1), member(1)),
      { epoch: 1, members: Array(9).fill(member(1)) },
    ])
      expect(readMemberList(bad)).toBeNull()
  })

  it.each<[unknown, boolean]>([
    [add(3), true],
    [{ ...add(3), port: 'p' }, false],
    [{ kind: 'activate', id: 2 }, true],
    [{ kind: 'activate' }, false],
    [{ kind: 'leave', ids: [1], forced: false }, true],
    [{ kind: 'leave', ids: [], forced: false }, false],
    [{ kind: 'leave', ids: [1] }, false],
    [{ kind: 'remove', ids: [1], stampFloor: 3 }, true],
    [{ kind: 'remove', ids: [1] }, false],
    [{ kind: 'stay', ids: [1] }, true],
    [{ kind: 'grow', ids: [1] }, false],
    [null, false],
  ])('a change %j', (value, isOne) => {
    expect(readMemberChange(value)).toEqual(isOne ? value : null)
  })
})

describe('what an operator types to go on with a change', () => {
  const members = [member(1), member(2, { forced: true }), member(3)]
  it.each<[MemberChange, string]>([
    [add(4), 'add --name c4 --address h:1 --id 4'],
    [{ kind: 'activate', id: 3 }, 'add --name c3 --address h:12003'],
    [{ kind: 'leave', ids: [3], forced: false }, 'remove c3'],
    [{ kind: 'leave', ids: [2, 3], forced: true }, 'remove c2 c3 --force'],
    [{ kind: 'remove', ids: [2], stampFloor: 1 }, 'remove c2 --force'],
    [{ kind: 'remove', ids: [3], stampFloor: 1 }, 'remove c3'],
    [{ kind: 'stay', ids: [3] }, 'cancel'],
  ])('%j', (change, command) => {
    expect(commandFor(change, members)).toBe(command)
  })
})
