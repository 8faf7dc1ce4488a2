/** Scripts in a shard: what they may write, when, and what the log, watches and other clusters see of it. */
import { describe, expect, it } from 'vitest'
import { slotOfKey } from '#protocol/slots/crc16.ts'
import type { Handler } from '#server/commands/context.ts'
import { handlersInScripts } from '#server/commands/inScripts.ts'
import type { ScriptWatch } from '#server/scripts/host.ts'
import { LuaModule } from '#server/scripts/luaMachine.ts'
import { readLua, testScripting } from '#test/scripting.ts'
import { TestShard } from './testShard.ts'

const crossSlot = '-ERR Script attempted to access keys that do not hash to the same slot'
const elsewhere = '-ERR Script attempted to access a non local key in a cluster node'

describe('the keys of a script', () => {
  it('lie in one slot, named or not', () => {
    const { run } = bound()
    expect(run('EVAL', "return redis.call('set', 'a', 1)", '1', 'b')).toMatch(crossSlot)
    expect(run('EVAL', "redis.call('set', 'a', 1) return redis.call('set', 'b', 1)", '0')).toMatch(crossSlot)
    expect(run('EVAL', "return redis.call('set', '{a}1', 1)", '1', '{a}2')).toBe('+OK\r\n')
    expect(run('EVAL', "return redis.call('mget', 'a', 'b')", '0')).toMatch(crossSlot)
  })

  it('lie anywhere without sharding', () => {
    const { run } = bound({ database: { sharding: false } })
    expect(run('EVAL', "redis.call('set', 'a', 1) return redis.call('set', 'b', 1)", '0')).toBe('+OK\r\n')
  })

  it('are not those of other shards', () => {
    const slot = slotOfKey('a')
    const { run } = bound({ ranges: [{ first: 0, last: slot - 1 }], database: { shardCount: 2 } })
    expect(run('EVAL', "return redis.call('get', 'a')", '0')).toMatch(elsewhere)
    expect(run('EVAL', "return redis.call('dbsize')", '0')).toMatch(
      "-ERR DBSIZE concerns all shards and can't be called from a script",
    )
  })
})

describe('what a script writes', () => {
  it('is one record of the log, errors or not', () => {
    const { shard, run, restart } = bound()
    const before = shard.log.end
    run('EVAL', "for i = 1, 10 do redis.call('rpush', KEYS[1], i) end error('late')", '1', 'list')
    const records: number[] = []
    shard.log.backlog.walk(before, shard.log.end, (_bytes, start) => records.push(start) > 0)
    expect(records.length).toBe(1)
    expect(run('LLEN', 'list')).toBe(':10\r\n')
    expect(restart().run('LLEN', 'list')).toBe(':10\r\n')
  })

  it('is in the log as it was written, whatever the script calls behind it', () => {
    const { shard, run, restart } = bound({ database: { sharding: false } })
    const script = `
      redis.call('set', 'first', 'plain')
      redis.call('set', 'second', 'and plain')
      redis.call('set', 'text', 'one')
      redis.call('incr', 'counter')
      redis.call('incrby', 'counter', 41)
      redis.call('setex', 'timed', 1000, 'two')
      redis.call('append', 'text', '!')
      redis.call('hset', 'hash', 'field', 'three', 'other', 'four')
      redis.call('hincrby', 'hash', 'count', 5)
      redis.call('zadd', 'sorted', 1.5, 'member')
      redis.call('xadd', 'stream', '*', 'field', 'five')
      redis.call('pfadd', 'hll', 'six')
      redis.call('mset', 'a', 'seven', 'b', 'eight')
      redis.call('setbit', 'bits', 7, 1)
      redis.call('del', 'b')
      redis.call('echo', 'something else that is longer than what was written before')
      return redis.call('get', 'text')`
    const shown = [
      ['MGET', 'first', 'second', 'text', 'counter'],
      ['GET', 'timed'],
      ['HMGET', 'hash', 'field', 'other', 'count'],
      ['ZRANGE', 'sorted', '0', '-1', 'WITHSCORES'],
      ['XRANGE', 'stream', '-', '+'],
      ['PFCOUNT', 'hll'],
      ['MGET', 'a', 'b', 'bits'],
    ] as const
    expect(run('EVAL', script, '0')).toBe('$4\r\none!\r\n')
    const before = shown.map((request) => run(...request))
    const digests = [...shard.db.occupiedSlots()].map((slot) => shard.db.slotDigest(slot))
    const again = restart()
    expect(shown.map((request) => again.run(...request))).toEqual(before)
    expect([...again.shard.db.occupiedSlots()].map((slot) => again.shard.db.slotDigest(slot))).toEqual(
      digests,
    )
  })

  it('touches the watches of others, and is part of a transaction', () => {
    const { world, proxy, run } = bound()
    proxy.watch(7, 'k')
    world.settle()
    run('EVAL', "return redis.call('set', KEYS[1], 'v')", '1', 'k')
    const touched = proxy.transaction(7, ['GET', 'k'])
    world.settle()
    expect(proxy.reply(touched)).toBe('*-1\r\n')
    const whole = proxy.transaction(
      0,
      ['SET', 'k', '1'],
      ['EVAL', "return redis.call('incr', KEYS[1])", '1', 'k'],
    )
    world.settle()
    expect(proxy.reply(whole)).toBe('*2\r\n+OK\r\n:2\r\n')
  })

  it('is refused where writes are, and nothing else', () => {
    const { shard, run } = bound()
    run('SET', 'k', 'v')
    shard.setClock({ state: 'gated', offsetMs: 5000, source: 'a', degradedMs: 100, gateMs: 1000 })
    expect(run('EVAL', "return redis.call('get', KEYS[1])", '1', 'k')).toBe('$1\r\nv\r\n')
    expect(run('EVAL', "return redis.call('set', KEYS[1], 'w')", '1', 'k')).toMatch(/^-CLOCKSKEW .* script: /)
    expect(run('EVAL', '#!lua\nreturn 1', '0')).toMatch(/^-CLOCKSKEW /)
    expect(run('EVAL', '#!lua flags=no-writes\nreturn 1', '0')).toBe(':1\r\n')
  })
})

describe('a command that fails for want of memory', () => {
  it('ends with an error in the script, when it has written nothing', () => {
    const { run } = bound()
    const tooLong: Handler = () => {
      throw new RangeError('Invalid string length')
    }
    const echo = handlersInScripts['ECHO']
    try {
      Object.assign(handlersInScripts, { ECHO: tooLong })
      expect(run('EVAL', "redis.call('set', KEYS[1], 'v') return redis.pcall('echo', 'x')", '1', 'k')).toBe(
        "-ERR the reply of 'echo' is too large\r\n",
      )
    } finally {
      Object.assign(handlersInScripts, { ECHO: echo })
    }
    expect(run('GET', 'k')).toBe('$1\r\nv\r\n')
  })
})

describe('the Lua of a shard', () => {
  it('is there from the first script on, and once', () => {
    let reads = 0
    const lua = new LuaModule(() => {
      reads++
      return readLua()
    })
    const { run } = bound({ scripting: { ...testScripting, lua } })
    run('SET', 'a', 'b')
    run('SCRIPT', 'EXISTS', 'x')
    expect(reads).toBe(0)
    for (let i = 0; i < 3; i++) run('EVAL', 'return 1', '0')
    run('SCRIPT', 'FLUSH')
    run('EVAL', 'return 1', '0')
    expect(reads).toBe(1)
  })

  it('is given up when a script wants too much memory', () => {
    const { run } = bound()
    const greedy = 'local t = {} for i = 1, 1e9 do t[i] = {i} end'
    expect(run('EVAL', greedy, '0')).toMatch(
      /^-ERR not enough memory: a script may use 67108864 bytes \(script_memory_bytes_max\) script: [0-9a-f]{40}\r\n$/,
    )
    expect(run('EVAL', `return pcall(function() ${greedy} end)`, '0')).not.toMatch('panic')
    expect(run('EVAL', "return redis.call('ping')", '0')).toBe('+PONG\r\n')
  })

  it('survives what fills its stacks', () => {
    const { run } = bound()
    for (const script of [
      'local function r() return r() + 1 end r()',
      'local function r() return pcall(r) end return tostring(r())',
      "local function r() return ('x'):gsub('.', r) end r()",
      'local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k + 1] end return t[1]',
      'local function r() return coroutine.wrap(r)() end r()',
      "return ('('):rep(100000)",
      "return loadstring(('('):rep(100000))",
      "return #('a'):rep(1e6):gsub('a', '%0%0')",
    ])
      run('EVAL', script, '0')
    expect(run('EVAL', "return redis.call('ping')", '0')).toBe('+PONG\r\n')
  })

  it('leaves nothing of one script to the next', () => {
    const { run } = bound()
    run('EVAL', 'table.insert(redis, 1) table.insert(_G, 2) KEYS[5] = 1', '0')
    expect(run('EVAL', 'return {#redis, tostring(rawget(_G, 1)), tostring(KEYS[5])}', '0')).toBe(
      '*3\r\n:0\r\n$3\r\nnil\r\n$3\r\nnil\r\n',
    )
  })
})

describe('a script that is to be stopped', () => {
  const killing = (afterLooks: number): ScriptWatch & { looks: number } => ({
    looks: 0,
    begin() {},
    mayWrite: () => true,
    end() {},
    get isKilled() {
      return ++this.looks > afterLooks
    },
  })
  const killed =
    /^-ERR Script killed by user with SCRIPT KILL\. script: [0-9a-f]{40}, on @user_script:1\.\r\n$/

  it.each([
    'while true do end',
    'while true do pcall(function() while true do end end) end',
    'while true do pcall(error, 1) end',
    'while true do coroutine.wrap(function() for i = 1, 1e6 do end end)() end',
    'local function f() return f() end f()',
    "while true do xpcall(function() error('x') end, function() end) end",
    'local t = {} for i = 1, 1e5 do t[i] = i end while true do table.insert(t, 1, 1) table.remove(t, 1) end',
    "return ('x'):rep(200):find(('.-'):rep(20) .. 'y')",
    "return ('x'):rep(200):gsub(('.-'):rep(20) .. 'y', '')",
    "for a in ('x'):rep(200):gmatch(('x*'):rep(20) .. 'y') do end",
    "while true do pcall(string.find, ('x'):rep(200), ('.-'):rep(20) .. 'y') end",
    "return ('a'):rep(1e7):find(('a'):rep(5e6) .. 'b', 1, true)",
  ])('ends: %s', (script) => {
    const { run } = bound({ scripting: { ...testScripting, watch: killing(3) } })
    expect(run('EVAL', script, '0')).toMatch(killed)
    expect(run('EVAL', 'return 1', '0')).toBe(':1\r\n')
  })

  it.each([
    "redis.call('set', KEYS[1], 'w') return 'done'",
    "pcall(redis.call, 'set', KEYS[1], 'w') redis.pcall('set', KEYS[1], 'w') return 'done'",
    "redis.pcall('get', KEYS[1]) coroutine.wrap(function() redis.pcall('append', KEYS[1], 'w') end)() return 'done'",
  ])('ends before its first write: %s', (script) => {
    const watch = { ...testScripting.watch, isKilled: false, mayWrite: () => !watch.isKilled }
    const { run } = bound({ scripting: { ...testScripting, watch } })
    run('SET', 'k', 'v')
    watch.isKilled = true
    expect(run('EVAL', script, '1', 'k')).toMatch(killed)
    watch.isKilled = false
    expect(run('EVAL', "return redis.call('get', KEYS[1])", '1', 'k')).toBe('$1\r\nv\r\n')
    expect(run('EVAL', script, '1', 'k')).toBe('$4\r\ndone\r\n')
  })
})

describe('scripts that are known', () => {
  it('are forgotten, the oldest first, when their texts are too long together', () => {
    const { run } = bound({ limits: { scriptCacheBytesMax: 1000 } })
    const shas = ['a', 'b', 'c'].map((letter) =>
      run('SCRIPT', 'LOAD', `return '${letter.repeat(390)}'`).slice(5, 45),
    )
    expect(run('SCRIPT', 'EXISTS', ...shas)).toBe('*3\r\n:0\r\n:1\r\n:1\r\n')
    expect(run('EVALSHA', shas[0] ?? '', '0')).toBe('-NOSCRIPT No matching script. Please use EVAL.\r\n')
  })
})

/** A shard, with its functions free to be passed around. */
function bound(changes: ConstructorParameters<typeof TestShard>[0] = {}) {
  const started = new TestShard(changes)
  return {
    shard: started.shard,
    world: started.world,
    proxy: started.proxy,
    run: (...words: string[]) => started.run(...words),
    restart: () => started.restart(),
  }
}
