/** Lua that means harm. */
import type { HostileWords } from './hostileWords.ts'

const endlessScripts = [
  'while true do end',
  'for i = 1, 1e15 do local x = {i} end',
  "while true do redis.pcall('GET', KEYS[1] or 'a') end",
  'pcall(function() while true do end end) while true do end',
  'local function f() return f() end return f()',
]

const scripts = [
  'return redis.call(unpack(ARGV))',
  'return redis.pcall(unpack(ARGV))',
  'return {redis.pcall(unpack(ARGV)), redis.pcall(unpack(ARGV))}',
  "for i = 1, 100 do redis.call('RPUSH', KEYS[1], string.rep('x', i)) end return redis.call('LLEN', KEYS[1])",
  "return redis.call('EVAL', 'return 1', 0)",
  "return redis.call('SUBSCRIBE', 'a')",
  "return redis.call('MULTI')",
  "return redis.call('BLPOP', KEYS[1], 0)",
  "redis.setresp(3) return redis.call('HGETALL', KEYS[1])",
  'redis.setresp(4)',
  'redis.setresp(3) return {map = {a = 1, [2] = {double = 1.5}}, set = {a = true}}',
  'return {double = 0/0}',
  "return {map = 1, set = 2, big_number = 'x\\r\\ny', verbatim_string = {format = 'toolong', string = {}}}",
  "return {big_number = '1\\r\\n+OK'}",
  "return {ok = 'a\\r\\n$4\\r\\nPING'}",
  "return {err = 'a\\r\\nb'}",
  'return {err = {}}',
  'return redis.error_reply(nil)',
  "return redis.status_reply('a\\r\\n-b')",
  "error({err = 'x\\ny'})",
  'error(nil)',
  'error({})',
  "error(setmetatable({}, {__tostring = function() error('again') end}))",
  'local t = {} t[1] = t return t',
  'local t = {} for i = 1, 300 do t = {t} end return t',
  'local t = {} for i = 1, 20000 do t[i] = i end return t',
  'local t = {} for i = 1, 20000 do t[i] = i end return unpack(t)',
  'local function f() return f() + 1 end return f()',
  "return string.rep('x', 2^31)",
  "local s = 'x' for i = 1, 40 do s = s .. s end return #s",
  "return string.format('%99999d', 1)",
  "return ('x'):rep(100):find(('.-'):rep(3) .. 'y')",
  "return string.gsub(string.rep('a', 5000), '.', {a = string.rep('b', 1000)}):len()",
  'local t = {} for i = 1, 1e6 do t[i] = {} end return #t',
  'return tonumber(ARGV[1])',
  'return 2^63',
  'return -2^63',
  'return 1e300',
  'return nil, 1',
  'return {1, nil, 3}',
  'return {[2^53] = 1, [1] = 2}',
  'return KEYS',
  'return ARGV',
  'x = 1',
  'rawset(_G, "x", 1) return x',
  'setmetatable(_G, nil)',
  'getmetatable("").__index = nil return ("x"):len()',
  'redis.call = nil',
  'KEYS[1] = nil return KEYS[1]',
  'return loadstring("return 1")()',
  'return loadstring("\\27Lua")',
  'return require("os")',
  'return os.exit()',
  'return io.open("/etc/passwd")',
  'return debug.getregistry()',
  'return collectgarbage("count") > 0',
  'coroutine.wrap(function() redis.call("SET", KEYS[1], "1") coroutine.yield() end)()',
  'return coroutine.resume(coroutine.create(function() error("x") end))',
  "return cjson.decode(string.rep('[', 2000))",
  'return cjson.encode({[1] = 1, [1e9] = 2})',
  'return cjson.encode({1/0})',
  "return cmsgpack.unpack(ARGV[1] or '')",
  "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
  "return struct.unpack('>I8', ARGV[1] or '')",
  "return struct.pack('c2000000000', 'x')",
  'return bit.lshift(ARGV[1] or 1, 99)',
  "redis.call('SET', KEYS[1], 'x') error('after a write')",
  'redis.replicate_commands() redis.set_repl(99)',
  "redis.log(redis.LOG_WARNING, ARGV[1] or '') return redis.sha1hex(ARGV[1] or '')",
  'return redis.acl_check_cmd(unpack(ARGV))',
  'return redis.breakpoint()',
  '#!lua\nreturn 1',
  "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 1)",
  '#!lua flags=nosuch\nreturn 1',
  '#!js\nreturn 1',
  'return redis.call()',
  'return redis.call(1, {}, nil)',
  "return redis.call('SET', KEYS[1] or 'o9', 1.5)",
  "return redis.call('SORT', KEYS[1], 'BY', 'nosort', 'GET', '#', 'STORE', KEYS[1])",
  'return (',
  '',
  '\0',
]

/** Of all, where somebody stops those that do not end. */
const endlessShare = 0.01

/** The text of one, sometimes cut, or with something amiss in it. */
export function hostileScript(words: HostileWords, mayBeEndless: boolean): string {
  const { random } = words
  if (mayBeEndless && random.chance(endlessShare)) return random.pick(endlessScripts)
  const script = random.pick(scripts)
  const at = random.below(script.length + 1)
  const roll = random.below(20)
  if (roll === 0) return script.slice(0, at)
  return roll === 1 ? script.slice(0, at) + words.any() + script.slice(at) : script
}
