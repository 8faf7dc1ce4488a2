/** Users at several workers, and what ends with them. */
import { describe, expect, it } from 'vitest'
import { waitingChangesMax } from '#proxy/keptChanges.ts'
import { confirmMs, siblingAnswerMs } from '#proxy/siblings/siblings.ts'
import { BlockingWorld } from './blockingWorld.ts'
import { encode, ProxyWorld, type TestClient } from './proxyWorld.ts'
import { WorkersWorld } from './workersWorld.ts'

const noPermission = '-NOPERM this user has no permissions'

function withAlice(world: ProxyWorld, ...rules: string[]): TestClient {
  world.client().call('ACL', 'SETUSER', 'alice', 'on', '>secret', ...rules)
  const alice = world.client()
  expect(alice.call('AUTH', 'alice', 'secret')).toBe('+OK\r\n')
  return alice
}

describe('a restricted user', () => {
  it('is refused commands and keys in a pipeline, in order, and the rest runs', () => {
    const alice = withAlice(new ProxyWorld(), '~a*', '%R~b*', '+get', '+set')
    const requests = [
      ['SET', 'a1', 'x'],
      ['GET', 'a1'],
      ['SET', 'b1', 'x'],
      ['GET', 'b1'],
      ['INCR', 'a1'],
      ['GET', 'c1'],
      ['GET', 'a1'],
      ['SET', 'a1', 'y', 'GET'],
    ]
    const replies = alice.raw(requests.map(encode).join('')).split('\r\n')
    expect(
      replies.filter((line) => line.startsWith('-')).map((line) => line.split(' ').slice(5, 8).join(' ')),
    ).toEqual(['permissions to access', 'permissions to run', 'permissions to access'])
    expect(replies[0]).toBe('+OK')
  })

  it('sees a change of its rules at once, also in commands that it may forward', () => {
    const world = new ProxyWorld()
    const alice = withAlice(world, 'allkeys', '+get')
    expect(alice.call('GET', 'a')).toBe('$-1\r\n')
    world.client().call('ACL', 'SETUSER', 'alice', '-get', '+set')
    expect(alice.call('GET', 'a')).toContain(noPermission)
    world.client().call('ACL', 'SETUSER', 'alice', 'allcommands')
    expect(alice.call('GET', 'a')).toBe('$-1\r\n')
    world.client().call('ACL', 'SETUSER', 'alice', 'resetkeys')
    expect(alice.call('GET', 'a')).toContain(noPermission)
  })

  it('is in CLIENT LIST and CLIENT KILL by its name', () => {
    const world = new ProxyWorld()
    const alice = withAlice(world, '+@all')
    expect(alice.call('CLIENT', 'INFO')).toContain(' user=alice ')
    const admin = world.client()
    expect(admin.call('CLIENT', 'KILL', 'USER', 'alice')).toBe(':1\r\n')
    alice.read()
    expect(alice.isClosed).toBe(true)
    expect(admin.call('CLIENT', 'KILL', 'USER', 'nobody')).toBe("-ERR No such user 'nobody'\r\n")
  })

  it('may change itself and go on in the same pipeline, or delete itself', () => {
    const alice = withAlice(new ProxyWorld(), '+@all', '~*')
    const requests = [
      ['ACL', 'SETUSER', 'alice', '-get'],
      ['GET', 'a'],
      ['ACL', 'SETUSER', 'bob', 'on', '>x', '+@all'],
      ['AUTH', 'bob', 'x'],
      ['ACL', 'WHOAMI'],
      ['ACL', 'DELUSER', 'bob'],
      ['PING'],
    ]
    expect(alice.raw(requests.map(encode).join(''))).toBe(
      `+OK\r\n${noPermission} to run the 'get' command\r\n+OK\r\n+OK\r\n$3\r\nbob\r\n:1\r\n`,
    )
    expect(alice.isClosed).toBe(true)
  })

  it('runs the commands about users that it has queued one behind the other', () => {
    const alice = withAlice(new ProxyWorld(), '+@all', '~*')
    alice.call('MULTI')
    alice.call('ACL', 'SETUSER', 'bob', 'on')
    alice.call('ACL', 'USERS')
    expect(alice.call('EXEC')).toBe('*2\r\n+OK\r\n*3\r\n$5\r\nalice\r\n$3\r\nbob\r\n$7\r\ndefault\r\n')
  })
})

describe('a command that waits', () => {
  it('is refused when its user may not have it any more', () => {
    const world = new BlockingWorld()
    const admin = world.client()
    admin.call('ACL', 'SETUSER', 'alice', 'on', 'nopass', '~list*', '+blpop', '+blmove')
    const alice = world.client(1)
    alice.call('AUTH', 'alice', 'x')
    expect(alice.call('BLPOP', 'list1', '0')).toBe('')
    admin.call('ACL', 'SETUSER', 'alice', '~other')
    expect(alice.read()).toBe('')
    admin.call('ACL', 'SETUSER', 'alice', 'resetkeys', '~other')
    expect(alice.read()).toContain(`${noPermission} to access one of the keys`)
    admin.call('RPUSH', 'list1', 'x')
    expect(alice.read()).toBe('')
    expect(alice.call('BLPOP', 'other', '0')).toBe('')
    admin.call('ACL', 'DELUSER', 'alice')
    world.world.settle()
    expect(alice.isClosed).toBe(true)
    admin.call('RPUSH', 'other', 'x')
    expect(admin.call('LLEN', 'other')).toBe(':1\r\n')
  })
})

describe('the workers of a port', () => {
  it('all know a user when SETUSER is answered, and none when DELUSER is', () => {
    const world = new WorkersWorld()
    const [one, two] = [world.client(0), world.client(1)]
    one.write(encode(['ACL', 'SETUSER', 'alice', 'on', '>secret', '+@all', '~*']))
    expect(one.read()).toBe('+OK\r\n')
    expect(two.call('AUTH', 'alice', 'secret')).toBe('+OK\r\n')
    expect(one.call('ACL', 'DELUSER', 'alice')).toBe(':1\r\n')
    two.read()
    expect(two.isClosed).toBe(true)
    expect(world.client(2).call('AUTH', 'alice', 'secret')).toContain('-WRONGPASS')
  })

  it('keep both changes when two are made at the same time', () => {
    const world = new WorkersWorld()
    const clients = [world.client(0), world.client(1), world.client(2)]
    clients.forEach((client, i) => {
      for (let n = 0; n < 10; n++) client.write(encode(['ACL', 'SETUSER', `user${i}${n}`, 'on']))
      client.write(encode(['ACL', 'SETUSER', 'shared', `~key${i}`]))
    })
    for (const client of clients) expect(client.read()).toBe('+OK\r\n'.repeat(11))
    for (const client of clients) expect(client.call('ACL', 'USERS')).toMatch(/^\*32\r\n/)
    for (const i of [0, 1, 2]) expect(clients[0]?.call('ACL', 'GETUSER', 'shared')).toContain(`~key${i}`)
  })

  it('of which one hangs, it is said so, and it knows the user when it goes on', () => {
    const world = new WorkersWorld()
    const one = world.client(0)
    world.hang(1)
    one.write(encode(['ACL', 'SETUSER', 'alice', 'on', 'nopass', '+@all']))
    world.world.advance(confirmMs + 10)
    expect(one.read()).toContain('-UNAVAILABLE the change is kept, but proxy worker 1 did not confirm it')
    world.goOn(1)
    world.reconfigure(1, { users: world.keeper.list })
    expect(world.client(1).call('AUTH', 'alice', 'x')).toBe('+OK\r\n')
  })

  it('of which one takes long, is waited for, also when it has let others wait in vain', () => {
    const world = new WorkersWorld()
    const one = world.client(0)
    world.fallSilent(1, one)
    one.write(encode(['ACL', 'SETUSER', 'alice', 'on', 'nopass', '+@all']))
    world.world.advance(confirmMs - siblingAnswerMs - 10)
    expect(one.read()).toBe('')
    world.goOn(1)
    world.reconfigure(1, { users: world.keeper.list })
    expect(one.read()).toBe('+OK\r\n')
    expect(world.client(1).call('AUTH', 'alice', 'x')).toBe('+OK\r\n')
  })

  it('of which one is not told by the agent, are told so before they give up', () => {
    const world = new WorkersWorld()
    const one = world.client(0)
    world.unreached.add(1)
    one.write(encode(['ACL', 'SETUSER', 'alice', 'on']))
    world.world.advance(confirmMs)
    expect(one.read()).toContain('-UNAVAILABLE the change is kept, but proxy worker 1 did not confirm it')
    expect(world.logger.lines.filter(({ level }) => level === 'warn')).toEqual([])
  })

  it('show one log of all that was denied', () => {
    const world = new WorkersWorld()
    const admin = world.client(0)
    admin.call('ACL', 'SETUSER', 'alice', 'on', 'nopass', '~a', '+get', '+acl|whoami')
    const alices = [world.client(0), world.client(1), world.client(2)]
    for (const alice of alices) {
      alice.call('AUTH', 'alice', 'x')
      alice.call('SET', 'a', 'x')
      world.world.advance(1)
    }
    alices[2]?.call('GET', 'b')
    world.world.advance(1)
    alices[1]?.call('AUTH', 'alice2', 'x')
    const log = admin.call('ACL', 'LOG')
    expect(log).toMatch(/^\*3\r\n\*20\r\n\$5\r\ncount\r\n:1\r\n\$6\r\nreason\r\n\$4\r\nauth\r\n/)
    expect(log).toContain(
      'count\r\n:3\r\n$6\r\nreason\r\n$7\r\ncommand\r\n$7\r\ncontext\r\n$8\r\ntoplevel\r\n',
    )
    expect(log).toContain('object\r\n$1\r\nb\r\n$8\r\nusername\r\n$5\r\nalice\r\n')
    const ids = [...log.matchAll(/entry-id\r\n:(\d+)/g)].map(([, id]) => id)
    expect(new Set(ids).size).toBe(3)
    expect(admin.call('ACL', 'LOG', '1')).toMatch(/^\*1\r\n/)
    expect(world.client(1).call('ACL', 'LOG', 'RESET')).toBe('+OK\r\n')
    expect(admin.call('ACL', 'LOG')).toBe('*0\r\n')
  })

  it('starts with the users that there are', () => {
    const world = new WorkersWorld()
    world.client(0).call('ACL', 'SETUSER', 'alice', 'on', 'nopass', '+@all')
    world.restart(1)
    expect(world.client(1).call('AUTH', 'alice', 'x')).toBe('+OK\r\n')
  })
})

describe('changing users', () => {
  it('needs the agent, and changes nothing without', () => {
    const world = new ProxyWorld()
    const client = world.client()
    world.keeper.isAway = true
    expect(client.call('ACL', 'SETUSER', 'alice')).toContain('-UNAVAILABLE the agent of the node')
    expect(client.call('ACL', 'SAVE')).toContain('-ERR There was an error trying to save the ACLs')
    expect(client.call('ACL', 'LOAD')).toContain('the agent of the node does not answer')
    world.keeper.isAway = false
    world.keeper.diskError = 'the disk is full'
    expect(client.call('ACL', 'SETUSER', 'alice')).toBe('-ERR the disk is full\r\n')
    expect(client.call('ACL', 'USERS')).toBe('*1\r\n$7\r\ndefault\r\n')
    expect(client.call('PING')).toBe('+PONG\r\n')
  })

  it('is worked out anew when somebody was faster', () => {
    const world = new ProxyWorld()
    const client = world.client()
    client.call('ACL', 'SETUSER', 'alice', '~a')
    world.keeper.overtake()
    expect(client.call('ACL', 'SETUSER', 'alice', '~b')).toBe('+OK\r\n')
    expect(client.call('ACL', 'GETUSER', 'alice')).toContain('~a ~b')
  })

  it('has limits: of bytes, and of changes that wait', () => {
    const world = new ProxyWorld({ limits: { usersBytesMax: 4096 } })
    const client = world.client()
    const rules = Array.from({ length: 100 }, (_, i) => `~${i}${'x'.repeat(50)}`)
    expect(client.call('ACL', 'SETUSER', 'alice', ...rules)).toContain('(users_bytes_max)')
    expect(client.call('ACL', 'SETUSER', 'alice', '~x')).toBe('+OK\r\n')
    let refused = 0
    const count = (error: string | null): void => {
      if (error?.startsWith(`UNAVAILABLE ${waitingChangesMax}`)) refused++
    }
    for (let i = 0; i < waitingChangesMax + 3; i++) world.proxy.userChanges.change(() => 'ERR not now', count)
    expect(refused).toBe(0)
    const plan = () => ({ put: {}, remove: [], replacesAll: false })
    for (let i = 0; i < waitingChangesMax + 3; i++) world.proxy.userChanges.change(plan, count)
    expect(refused).toBe(2)
  })

  it('writes and reads the ACL file, all or nothing', () => {
    const world = new ProxyWorld()
    const admin = world.client()
    expect(admin.call('ACL', 'LOAD')).toBe(
      "-ERR Error loading ACLs, opening file '/data/users.acl': No such file or directory\r\n",
    )
    const alice = withAlice(world, '~a', '+@all', '(+get ~b)')
    const [bob, carol] = [world.client(), world.client()]
    for (const [name, client] of [
      ['bob', bob],
      ['carol', carol],
    ] as const) {
      admin.call('ACL', 'SETUSER', name, 'on', 'nopass', '+@all')
      client.call('AUTH', name, 'x')
    }
    expect(admin.call('ACL', 'SAVE')).toBe('+OK\r\n')
    const saved = world.keeper.file ?? ''
    expect(saved.split('\n').map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      'user alice on',
      'user bob on',
      'user carol on',
      'user default on',
      '',
    ])
    world.keeper.file = `${saved}user bob on\nuser x +nonsense\n nobody\nuser y ~a (+get\nuser\n`
    expect(admin.call('ACL', 'LOAD')).toBe(
      "-ERR WARNING: Duplicate user 'bob' found on line 5. /data/users.acl:6: Unknown command or category name in ACL. /data/users.acl:7 should start with user keyword followed by the username. /data/users.acl:8: Unmatched parenthesis in selector definition./data/users.acl:9 should start with user keyword followed by the username. WARNING: ACL errors detected, no change to the previously active ACL rules was performed\r\n",
    )
    expect(bob.call('PING')).toBe('+PONG\r\n')
    // Bob changes, Carol goes, Alice stays as she is.
    world.keeper.file = saved
      .replace(/user bob.*\n/, 'user bob on nopass +ping\n')
      .replace(/user carol.*\n/, '')
    expect(admin.call('ACL', 'LOAD')).toBe('+OK\r\n')
    for (const client of [bob, carol]) {
      client.read()
      expect(client.isClosed).toBe(true)
    }
    expect(alice.call('PING')).toBe('+PONG\r\n')
    expect(admin.call('ACL', 'USERS')).toBe('*3\r\n$5\r\nalice\r\n$3\r\nbob\r\n$7\r\ndefault\r\n')
  })

  it('writes the file once for all who ask while it is written, with what has changed before they asked', () => {
    const world = new ProxyWorld()
    const [one, other] = [world.client(), world.client()]
    one.write(encode(['ACL', 'SAVE']).repeat(100))
    other.write(encode(['ACL', 'SETUSER', 'late', 'on']) + encode(['ACL', 'SAVE']).repeat(100))
    expect([one.read(), other.read()]).toEqual(['+OK\r\n'.repeat(100), '+OK\r\n'.repeat(101)])
    expect(world.keeper.file).toContain('user late on')
    expect(world.keeper.fileWrites).toBeLessThan(20)
    world.keeper.diskError = 'the disk is full'
    expect(one.raw(encode(['ACL', 'SAVE']).repeat(3))).toMatch(/^(-ERR There was an error[^\r]*\r\n){3}$/)
    world.keeper.diskError = null
    expect(one.call('ACL', 'SAVE')).toBe('+OK\r\n')
  })

  it('makes passwords of as many digits as are asked for', () => {
    const client = new ProxyWorld().client()
    expect(client.call('ACL', 'GENPASS')).toMatch(/^\$64\r\n/)
    expect(client.call('ACL', 'GENPASS', '5')).toBe('$2\r\n01\r\n')
    expect(client.call('ACL', 'GENPASS', '4096')).toMatch(/^\$1024\r\n/)
  })
})

describe('guessing passwords', () => {
  it('becomes slow, for this user from this address, and is logged', () => {
    const world = new ProxyWorld({ database: { password: 'secret' } })
    const client = world.client()
    for (let i = 0; i < 4; i++) expect(client.call('AUTH', `wrong${i}`)).toContain('-WRONGPASS')
    expect(client.call('AUTH', 'secret')).toBe('')
    client.write(encode(['PING']))
    world.world.advance(49)
    expect(client.read()).toBe('')
    world.world.advance(2)
    expect(client.read()).toBe('+OK\r\n+PONG\r\n')
    const other = world.client()
    for (let i = 0; i < 12; i++) {
      other.call('AUTH', 'wrong')
      world.world.advance(1_000)
    }
    other.read()
    expect(other.call('HELLO', '3', 'AUTH', 'default', 'secret')).toBe('')
    world.world.advance(999)
    expect(other.read()).not.toContain('%7')
    world.world.advance(2)
    expect(other.read()).toContain('%7')
    expect(client.call('ACL', 'LOG', '1')).toMatch(/count\r\n:\d+\r\n\$6\r\nreason\r\n\$4\r\nauth/)
    expect(
      world.logger.lines.filter(({ message }) => message.includes('wrong password')).length,
    ).toBeGreaterThan(10)
  })

  it('is forgotten after a while', () => {
    const world = new ProxyWorld({ database: { password: 'secret' } })
    const client = world.client()
    for (let i = 0; i < 4; i++) client.call('AUTH', 'wrong')
    world.world.advance(61_000)
    expect(client.call('AUTH', 'secret')).toBe('+OK\r\n')
  })

  it('costs nothing with a limit of 0', () => {
    const world = new ProxyWorld({ database: { password: 'secret' }, limits: { loginDelayMaxMs: 0 } })
    const client = world.client()
    for (let i = 0; i < 20; i++) expect(client.call('AUTH', 'wrong')).toContain('-WRONGPASS')
  })
})
