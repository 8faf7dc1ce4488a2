/** The table `redis` of scripts. */
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { LogLevel } from './host.ts'
import { type LuaMachine, type LuaState, LuaType } from './luaMachine.ts'
import { generalText } from './numberText.ts'
import { RepliesToLua } from './repliesToLua.ts'
import type { Library } from './sandbox.ts'
import { sha1 } from './sha1.ts'

/** What scripts are told that they speak to. */
const versionText = '7.2.0'
const versionNumber = 0x00070200
const noArguments = 'Please specify at least one argument for this redis lib call'
const badArguments = 'Lua redis lib command arguments must be strings or integers'
const replicationAll = 3

const logLevels: readonly LogLevel[] = ['debug', 'verbose', 'notice', 'warning']

/** What the running script is and may do, as the library needs to know it. */
export interface Caller {
  /** Of replies that the script gets. */
  resp3: boolean
  /** Runs the request and writes one reply, also when it is refused. False: the script is to end before it. */
  call(request: ReplyWriter, reply: ReplyWriter): boolean
  /** Whether the client may run it; an error text when it is no command. */
  mayCall(request: ReplyWriter): boolean | string
  log(level: LogLevel, text: string): void
}

export class RedisLibrary {
  readonly #machine: LuaMachine
  readonly #caller: Caller
  readonly #stop: (state: LuaState) => never
  readonly #request = new ReplyWriter(4096)
  readonly #reply = new ReplyWriter(4096)
  readonly #toLua: RepliesToLua

  /** `stop` ends the script, by an error. */
  constructor(machine: LuaMachine, caller: Caller, stop: (state: LuaState) => never) {
    this.#machine = machine
    this.#caller = caller
    this.#stop = stop
    this.#toLua = new RepliesToLua(machine)
  }

  /** As scripts see it. */
  get table(): Library {
    return { ...this.functionsTable, ...this.#debugging() }
  }

  /** As a library of functions sees it while it is loaded, besides `register_function`. */
  get loadingTable(): Library {
    return {
      log: (state) => this.#log(state),
      LOG_DEBUG: 0,
      LOG_VERBOSE: 1,
      LOG_NOTICE: 2,
      LOG_WARNING: 3,
      REDIS_VERSION: versionText,
      REDIS_VERSION_NUM: versionNumber,
    }
  }

  /** As functions see it. */
  get functionsTable(): Library {
    return {
      ...this.loadingTable,
      ...this.#calls(),
      ...this.#replies(),
      ...this.#settings(),
      sha1hex: (state) => this.#sha1hex(state),
      REPL_NONE: 0,
      REPL_AOF: 1,
      REPL_SLAVE: 2,
      REPL_REPLICA: 2,
      REPL_ALL: replicationAll,
    }
  }

  /** Pushes the table that stands for an error. Without a code of its own (`-CODE text`) it gets `ERR`. */
  pushError(state: LuaState, text: string): void {
    const { api } = this.#machine
    api.lua_createtable(state, 0, 1)
    this.#machine.pushText(state, codedText(text))
    api.lua_setfield(state, -2, this.#machine.name('err'))
  }

  raise(state: LuaState, text: string): never {
    this.pushError(state, text)
    return this.#machine.api.lua_error(state)
  }

  #calls(): Library {
    return {
      call: (state) => this.#call(state, true),
      pcall: (state) => this.#call(state, false),
      acl_check_cmd: (state) => {
        const refusal = this.#readRequest(state)
        if (refusal !== null) this.raise(state, refusal)
        const allowed = this.#caller.mayCall(this.#request)
        if (typeof allowed === 'string') this.raise(state, allowed)
        this.#machine.api.lua_pushboolean(state, allowed ? 1 : 0)
        return 1
      },
    }
  }

  #call(state: LuaState, raises: boolean): number {
    const machine = this.#machine
    const refusal = this.#readRequest(state)
    if (refusal !== null) {
      this.pushError(state, refusal)
      return raises ? machine.api.lua_error(state) : 1
    }
    const reply = this.#reply
    reply.clear()
    reply.resp3 = this.#caller.resp3
    if (!this.#caller.call(this.#request, reply)) return this.#stop(state)
    this.#toLua.push(state, reply.bytes, 0)
    return raises && reply.bytes[0] === 0x2d ? machine.api.lua_error(state) : 1
  }

  /** The arguments as RESP; an error text when they can't be those of a command. */
  #readRequest(state: LuaState): string | null {
    const machine = this.#machine
    const { api } = machine
    const request = this.#request
    const count = api.lua_gettop(state)
    if (count === 0) return noArguments
    request.clear()
    request.array(count)
    for (let i = 1; i <= count; i++) {
      const type = api.lua_type(state, i)
      if (type === LuaType.string) {
        const start = machine.pointer(state, i)
        request.bulkBytes(machine.heap, start, start + machine.length)
      } else if (type === LuaType.number) request.bulk(generalText(api.lua_tonumber(state, i), 17))
      else return badArguments
    }
    return null
  }

  #replies(): Library {
    const machine = this.#machine
    const one = (state: LuaState): string | null => {
      const { api } = machine
      const isText = api.lua_gettop(state) === 1 && api.lua_type(state, 1) === LuaType.string
      return isText ? machine.text(state, 1) : null
    }
    const wrong = 'wrong number or type of arguments'
    return {
      error_reply: (state) => {
        const text = one(state)
        // Its first word is the code, if there is another, whether or not a dash is before it.
        this.pushError(state, text === null ? wrong : `-${text.replace(/^-/, '')}`)
        return 1
      },
      status_reply: (state) => {
        const text = one(state)
        if (text === null) {
          this.pushError(state, wrong)
          return 1
        }
        machine.api.lua_createtable(state, 0, 1)
        machine.pushText(state, text)
        machine.api.lua_setfield(state, -2, machine.name('ok'))
        return 1
      },
    }
  }

  #settings(): Library {
    const { api } = this.#machine
    return {
      setresp: (state) => {
        if (api.lua_gettop(state) !== 1) this.raise(state, 'redis.setresp() requires one argument.')
        const version = Math.trunc(api.lua_tonumber(state, 1))
        if (version !== 2 && version !== 3) this.raise(state, 'RESP version must be 2 or 3.')
        this.#caller.resp3 = version === 3
        return 0
      },
      set_repl: (state) => {
        if (api.lua_gettop(state) !== 1) this.raise(state, 'redis.set_repl() requires two arguments.')
        const flags = Math.trunc(api.lua_tonumber(state, 1))
        if ((flags & ~replicationAll) !== 0)
          this.raise(state, 'Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.')
        if (flags !== replicationAll)
          this.raise(
            state,
            'what a script writes is always logged and sent to the other clusters: only REPL_ALL',
          )
        return 0
      },
    }
  }

  #debugging(): Library {
    const { api } = this.#machine
    return {
      replicate_commands: (state) => {
        api.lua_pushboolean(state, 1)
        return 1
      },
      breakpoint: (state) => {
        api.lua_pushboolean(state, 0)
        return 1
      },
      debug: () => 0,
    }
  }

  #log(state: LuaState): number {
    const machine = this.#machine
    const { api } = machine
    const count = api.lua_gettop(state)
    if (count < 2) this.raise(state, 'redis.log() requires two arguments or more.')
    if (api.lua_type(state, 1) !== LuaType.number)
      this.raise(state, 'First argument must be a number (log level).')
    const level = logLevels[Math.trunc(api.lua_tonumber(state, 1))]
    if (level === undefined) return this.raise(state, 'Invalid debug level.')
    const words: string[] = []
    for (let i = 2; i <= count; i++) words.push(machine.text(state, i))
    this.#caller.log(level, words.join(' '))
    return 0
  }

  #sha1hex(state: LuaState): number {
    const machine = this.#machine
    if (machine.api.lua_gettop(state) !== 1) this.raise(state, 'wrong number of arguments')
    machine.pushText(state, sha1(machine.text(state, 1)))
    return 1
  }
}

/** `-CODE text` has a code, anything else gets `ERR`. */
function codedText(text: string): string {
  const trimmed = text.replace(/\r?\n$/, '')
  if (!trimmed.startsWith('-')) return `ERR ${trimmed}`
  return trimmed.includes(' ') ? trimmed.slice(1) : `ERR ${trimmed.slice(1)}`
}
