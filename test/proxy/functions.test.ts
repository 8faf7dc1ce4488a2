/** Libraries at several workers and shards: where they are known, when they are kept, and what is said when they can't be. */
import { describe, expect, it } from 'vitest'
import { TestShard } from '#test/shard/testShard.ts'
import { BlockingWorld } from './blockingWorld.ts'
import { encode, ProxyWorld } from './proxyWorld.ts'

const code = (name: string, body = 'return 1'): string =>
  `#!lua name=${name}\nredis.register_function("${name}_f", function(keys, args) ${body} end)`

describe('a library', () => {
  it('is known to all workers and shards, and to a shard that is started again', () => {
    const world = new BlockingWorld({ shardCount: 2 })
    const [one, other] = [world.client(0), world.client(1)]
    const writes = code('lib', 'return redis.call("incr", keys[1])')
    expect(one.call('FUNCTION', 'LOAD', writes)).toBe('$3\r\nlib\r\n')
    expect(other.call('FUNCTION', 'LIST', 'WITHCODE')).toContain(writes)
    // Of different shards.
    for (const key of ['a', 'b', 'c', 'd']) expect(other.call('FCALL', 'lib_f', '1', key)).toBe(':1\r\n')
    world.restart(0)
    world.restart(1)
    for (const key of ['a', 'b', 'c', 'd']) expect(one.call('FCALL', 'lib_f', '1', key)).toBe(':2\r\n')
    expect(one.call('FUNCTION', 'DELETE', 'lib')).toBe('+OK\r\n')
    expect(other.call('FCALL', 'lib_f', '1', 'a')).toBe('-ERR Function not found\r\n')
  })

  it('keeps what its variables hold until its code changes', () => {
    const world = new BlockingWorld()
    const client = world.client()
    const counting = (name: string, step: number): string =>
      `#!lua name=${name}\nlocal n = 0\nredis.register_function("${name}", function() n = n + ${step} return n end)`
    client.call('FUNCTION', 'LOAD', counting('a', 1))
    client.call('FUNCTION', 'LOAD', counting('b', 1))
    for (const name of ['a', 'b']) expect(client.call('FCALL', name, '0')).toBe(':1\r\n')
    client.call('FUNCTION', 'LOAD', 'REPLACE', counting('a', 10))
    expect(client.call('FCALL', 'a', '0')).toBe(':10\r\n')
    expect(client.call('FCALL', 'b', '0')).toBe(':2\r\n')
  })

  it('can be loaded in a transaction, which answers when it is in force', () => {
    const world = new BlockingWorld()
    const client = world.client()
    client.call('MULTI')
    client.call('FUNCTION', 'LOAD', code('lib'))
    client.call('INCR', 'n')
    expect(client.call('EXEC')).toBe('*2\r\n$3\r\nlib\r\n:1\r\n')
    expect(client.call('FCALL', 'lib_f', '0')).toBe(':1\r\n')
  })

  it('is loaded once by two workers at the same time', () => {
    const world = new BlockingWorld()
    const [one, other] = [world.client(0), world.client(1)]
    for (const client of [one, other]) client.write(encode(['FUNCTION', 'LOAD', code('lib')]))
    const replies = [one.read(), other.read()].sort()
    expect(replies).toEqual(['$3\r\nlib\r\n', "-ERR Library 'lib' already exists\r\n"])
    for (const [client, name] of [
      [one, 'x'],
      [other, 'y'],
    ] as const)
      client.write(encode(['FUNCTION', 'LOAD', code(name)]))
    expect([one.read(), other.read()]).toEqual(['$1\r\nx\r\n', '$1\r\ny\r\n'])
    expect(one.call('FUNCTION', 'LIST')).toMatch(/^\*3\r\n/)
  })

  it('is judged by the rules of who calls its functions', () => {
    const world = new BlockingWorld()
    const [admin, client] = [world.client(), world.client()]
    admin.call('FUNCTION', 'LOAD', code('lib', 'return redis.call("get", args[1])'))
    admin.call('ACL', 'SETUSER', 'some', 'on', 'nopass', '~a', '+get', '+fcall')
    client.call('AUTH', 'some', 'x')
    expect(client.call('FCALL', 'lib_f', '0', 'a')).toBe('$-1\r\n')
    expect(client.call('FCALL', 'lib_f', '0', 'b')).toMatch("-ERR The user executing the script can't access")
    expect(client.call('FCALL', 'lib_f', '1', 'b', 'a')).toMatch('-NOPERM')
    expect(client.call('FUNCTION', 'LOAD', code('other'))).toMatch('-NOPERM')
  })
})

describe('what can not be kept', () => {
  it('is more than the limit', () => {
    const world = new BlockingWorld({ limits: { functionsBytesMax: 8192 } })
    const client = world.client()
    expect(client.call('FUNCTION', 'LOAD', code('lib', `return "${'x'.repeat(5000)}"`))).toBe('$3\r\nlib\r\n')
    const more = client.call('FUNCTION', 'LOAD', code('more', `return "${'x'.repeat(5000)}"`))
    expect(more).toBe('-ERR libraries have at most 8192 bytes together (functions_bytes_max)\r\n')
    expect(client.call('FUNCTION', 'FLUSH')).toBe('+OK\r\n')
  })

  it('is told when the agent is away, or its disk fails', () => {
    const world = new BlockingWorld()
    const client = world.client()
    world.keeper.isAway = true
    expect(client.call('FUNCTION', 'LOAD', code('lib'))).toMatch(
      /^-UNAVAILABLE the agent of the node, which keeps the libraries/,
    )
    world.keeper.isAway = false
    world.keeper.diskError = 'the change was not written: no space'
    expect(client.call('FUNCTION', 'LOAD', code('lib'))).toBe('-ERR the change was not written: no space\r\n')
    expect(client.call('FUNCTION', 'LIST')).toBe('*0\r\n')
  })

  it('is what a shard that is down would have to look at', () => {
    const world = new ProxyWorld({ shardsDown: true })
    expect(world.client().call('FUNCTION', 'LOAD', code('lib'))).toMatch(/^-LOADING shard 0/)
  })
})

describe('FUNCTION KILL and STATS', () => {
  const running = (kind: string) => {
    const world = new ProxyWorld({ limits: { busyReplyMs: 100 } })
    const asked: string[] = []
    world.scriptWatches.set('/shard/0.s', (question) => {
      asked.push(question)
      if (question === 'show') return `runs ${kind} 120 ["fcall","slow","0"]`
      return question.startsWith(`kill ${kind}`) ? 'killed' : 'other'
    })
    return { client: world.client(), asked }
  }

  it('show and stop a function', () => {
    const { client, asked } = running('function')
    expect(client.call('FUNCTION', 'STATS')).toBe(
      '*4\r\n$14\r\nrunning_script\r\n*6\r\n$4\r\nname\r\n$4\r\nslow\r\n$7\r\ncommand\r\n*3\r\n$5\r\nfcall\r\n$4\r\nslow\r\n$1\r\n0\r\n$11\r\nduration_ms\r\n:120\r\n$7\r\nengines\r\n*2\r\n$3\r\nLUA\r\n*4\r\n$15\r\nlibraries_count\r\n:0\r\n$15\r\nfunctions_count\r\n:0\r\n',
    )
    expect(client.call('SCRIPT', 'KILL')).toMatch(/^-BUSY .* only call FUNCTION KILL/)
    expect(client.call('FUNCTION', 'KILL')).toBe('+OK\r\n')
    expect(asked).toEqual(['show', 'kill script 100', 'kill function 100'])
  })

  it('leave a script alone', () => {
    const { client } = running('script')
    const busy = '-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n'
    expect(client.call('FUNCTION', 'STATS')).toBe(busy)
    expect(client.call('FUNCTION', 'KILL')).toBe(busy)
  })
})

describe('a shard', () => {
  it('goes on when a library needs more memory than there is, and loads it anew', () => {
    const library = {
      name: 'lib',
      code: code(
        'lib',
        'if args[1] then local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end end return 7',
      ),
      functions: [{ name: 'lib_f', description: null, flags: [] }],
    }
    const shard = new TestShard({
      libraries: { version: 1, libraries: [library] },
      limits: { scriptMemoryBytesMax: 32 << 20 },
    })
    expect(shard.run('FCALL', 'lib_f', '0')).toBe(':7\r\n')
    expect(shard.run('FCALL', 'lib_f', '0', 'x')).toMatch(/^-ERR not enough memory/)
    expect(shard.run('FCALL', 'lib_f', '0')).toBe(':7\r\n')
    expect(shard.run('EVAL', 'return 8', '0')).toBe(':8\r\n')
  })

  it('says so when what a library registers is not what it was', () => {
    const functions = [{ name: 'gone', description: null, flags: [] }]
    const library = { name: 'lib', code: code('lib'), functions }
    const shard = new TestShard({ libraries: { version: 1, libraries: [library] } })
    expect(shard.run('FCALL', 'gone', '0')).toBe('-ERR Function not found\r\n')
  })
})
