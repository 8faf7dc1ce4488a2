/** redis-parser comes without types. */
declare module 'redis-parser' {
  interface ParserOptions {
    // biome-ignore lint/suspicious/noExplicitAny: replies are of any shape
    returnReply(reply: any): void
    returnError(error: Error): void
    returnBuffers?: boolean
  }
  export default class RedisParser {
    constructor(options: ParserOptions)
    execute(bytes: Uint8Array): void
  }
}
